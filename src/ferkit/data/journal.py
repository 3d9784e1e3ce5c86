"""The unfinished face set: shards that only grow, and a journal that says how far they count.

A batch of crops reaches its shard first; then one journal line makes it count. Whatever moment the process dies at,
complete lines describe crops that are on disk, and what lies beyond them is cut off on the next opening. The bytes
therefore depend neither on where a run broke nor on how its crops were split into batches.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO, FileIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferkit.data.faces import Face, face_from_row, face_values

__all__ = ["Journal", "ShardFiles", "shard_name"]


def shard_name(number: int) -> str:
    """Return the file name of shard ``number``, counted from 0."""
    return f"faces-{number:05d}.npy"


class Journal:
    """A text file of one JSON object a line: first what job this is, then one entry per batch.

    Attributes:
        rows: crops that count.
        pictures_done: pictures of the source list that are behind us.
        problems: (source, problem) of the pictures that gave no face, in the order they were met.
        state: the bookmark of the last entry, a JSON value: whatever its writer needs to know to go on from there.
    """

    def __init__(self, path: Path, job: Mapping[str, Any]) -> None:
        self.path = path
        self.rows = 0
        self.pictures_done = 0
        self.problems: list[tuple[str, str]] = []
        self.state: Any = None
        self._job = dict(job)
        self._file: FileIO | None = None

    def resume(self) -> bool:
        """Continue the journal of the same job; return False if there is none."""
        if not self.path.is_file():
            return False
        entries = self._entries()
        end, job = next(entries, (0, None))
        if job != self._job:
            return False
        for end, entry in entries:  # noqa: B007 (the last one's end is what stays)
            self._count(entry)
        self._file = self.path.open("r+b", buffering=0)
        self._file.truncate(end)
        self._file.seek(end)
        return True

    def begin(self) -> None:
        """Start an empty journal for the job."""
        self.rows, self.pictures_done, self.problems, self.state = 0, 0, [], None
        self._file = self.path.open("wb", buffering=0)
        self._write(self._job)

    def add(
        self,
        faces: Sequence[Face],
        problems: Sequence[tuple[str, str]],
        pictures_done: int,
        state: Any = None,  # noqa: ANN401 (any JSON value)
    ) -> None:
        """Let a batch count, whose crops must be on disk by now."""
        entry = {
            "pictures_done": pictures_done,
            "problems": [list(problem) for problem in problems],
            "state": state,
            "faces": [face_values(face) for face in faces],
        }
        self._write(entry)
        self._count(entry)

    def faces(self) -> Iterator[Face]:
        """Yield every face that counts, in order."""
        for _, entry in self._entries():
            yield from (face_from_row(row) for row in entry.get("faces", ()))

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()

    def _entries(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield (offset of the line's end, object) up to the first line that was not written whole."""
        end = 0
        with self.path.open("rb") as lines:
            for line in lines:
                end += len(line)
                try:
                    entry = json.loads(line) if line.endswith(b"\n") else None
                except ValueError:
                    entry = None
                if entry is None:
                    return
                yield end, entry

    def _count(self, entry: Mapping[str, Any]) -> None:
        self.rows += len(entry["faces"])
        self.pictures_done = entry["pictures_done"]
        self.problems += [(source, problem) for source, problem in entry["problems"]]
        self.state = entry.get("state")

    def _write(self, entry: Mapping[str, Any]) -> None:
        if self._file is None:
            raise RuntimeError("begin or resume the journal first")
        _write_to_disk(self._file, json.dumps(entry, default=_plain).encode() + b"\n")


class ShardFiles:
    """``faces-00000.npy`` ... of one folder, each of exactly ``shard`` crops except the last."""

    def __init__(self, folder: Path, size: int, shard: int) -> None:
        self._folder = folder
        self._crop_bytes = size * size * 3
        self._size = size
        self._shard = shard
        self._rows = 0
        self._file: FileIO | None = None

    def resume(self, rows: int) -> bool:
        """Cut what is on disk down to the first ``rows`` crops; return False if fewer are there."""
        full, rest = divmod(rows, self._shard)
        sizes = {path.name: path.stat().st_size for path in self._folder.glob("faces-*.npy")}
        needed = [self._shard] * full + [rest] * (rest > 0)
        if any(sizes.get(shard_name(number), 0) < self._file_bytes(count) for number, count in enumerate(needed)):
            return False
        for name in sizes.keys() - {shard_name(number) for number in range(len(needed))}:
            (self._folder / name).unlink()
        self._rows = rows
        if rest:
            self._reopen(self._folder / shard_name(full), rest)
        return True

    def append(self, crops: NDArray[np.uint8]) -> None:
        """Write (n, size, size, 3) crops behind those that are there, and flush them to disk."""
        while len(crops):
            room = self._shard - self._rows % self._shard
            file = self._file or self._open_next()
            _write_to_disk(file, crops[:room].tobytes())
            self._rows += len(crops[:room])
            crops = crops[room:]
            if self._rows % self._shard == 0:
                self.close()

    def finish(self) -> None:
        """Let the last shard's header say how many crops it holds."""
        if self._file is not None:
            self._write_header(self._file, self._rows % self._shard)
        self.close()

    def close(self) -> None:
        """Let go of the open shard."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open_next(self) -> FileIO:
        self._file = (self._folder / shard_name(self._rows // self._shard)).open("wb", buffering=0)
        self._write_header(self._file, self._shard)
        return self._file

    def _reopen(self, path: Path, rows: int) -> None:
        self._file = path.open("r+b", buffering=0)
        self._file.truncate(self._file_bytes(rows))
        self._write_header(self._file, self._shard)
        self._file.seek(0, 2)

    def _write_header(self, file: FileIO, rows: int) -> None:
        file.seek(0)
        _write_to_disk(file, self._header(rows))

    def _header(self, rows: int) -> bytes:
        """Return the .npy header for ``rows`` crops; numpy pads it so that its length does not depend on ``rows``."""
        header = BytesIO()
        shape = (rows, self._size, self._size, 3)
        np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
        return header.getvalue()

    def _file_bytes(self, rows: int) -> int:
        return len(self._header(rows)) + rows * self._crop_bytes


def _write_to_disk(file: FileIO, data: bytes) -> None:
    # Unbuffered, since after a full disk a buffer would try, and fail, once more when the file is closed.
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
    os.fsync(file.fileno())


def _plain(value: np.generic) -> object:
    """Turn a numpy scalar, which json does not know, into Python's own number."""
    return value.item()
