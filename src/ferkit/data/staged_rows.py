"""What a face set and an embedding set are while they grow: arrays of rows, and a journal that says how far they count.

A batch of rows reaches its array first; then one journal entry makes it count, with a checksum of its bytes. Whatever
moment the process dies at, the entries describe rows that are on disk; what lies beyond them, or behind the first batch
that has changed since, is cut off on the next opening. The bytes therefore depend neither on where a run broke nor on
how its rows were split into batches.
"""

import math
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from io import BytesIO, FileIO
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

from ferkit.atomic import output_errors
from ferkit.data.faces import ROW_GROUP, Face, face_from_row, face_values, faces_to_table
from ferkit.staging import StagedOutput, write_to_disk


class GrowingArray:
    """Rows of one shape that are appended to ``.npy`` files, each of exactly ``shard`` rows except the last.

    Args:
        folder: where the files lie.
        shape: of a row.
        dtype: of a number.
        name: file name of shard number n, counted from 0.
        shard: rows a file.
    """

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        name: Callable[[int], str],
        shard: int = sys.maxsize,
    ) -> None:
        self._folder, self._name, self._shard = folder, name, shard
        self._shape, self._dtype = shape, np.dtype(dtype)
        self._row_bytes = math.prod(shape) * self._dtype.itemsize
        self._header_bytes = len(self._header(0))
        self._rows = 0
        self._file: FileIO | None = None

    def checksum(self, start: int, stop: int) -> int | None:
        """CRC-32 of the bytes of some rows on disk; None if they are not there."""
        crc, row = 0, start
        while row < stop:
            number, first = divmod(row, self._shard)
            count = min(stop - row, self._shard - first)
            try:
                with (self._folder / self._name(number)).open("rb") as file:
                    file.seek(self._header_bytes + first * self._row_bytes)
                    data = file.read(count * self._row_bytes)
            except FileNotFoundError:
                return None
            if len(data) < count * self._row_bytes:
                return None
            crc, row = zlib.crc32(data, crc), row + count
        return crc

    def resume(self, rows: int) -> None:
        """Cut what is on disk down to the first ``rows``, all of which must be there."""
        full, rest = divmod(rows, self._shard)
        needed = {self._name(number) for number in range(full + (rest > 0))}
        for path in self._folder.glob("*.npy"):
            if path.name not in needed:
                path.unlink()
        self._rows = rows
        for shard in range(full):
            with (self._folder / self._name(shard)).open("r+b", buffering=0) as file:
                self._cut(file, self._shard)
        if rest:
            self._file = (self._folder / self._name(full)).open("r+b", buffering=0)
            self._cut(self._file, rest)

    def append(self, rows: NDArray[Any]) -> int:
        """Write (n, *shape) rows behind those that are there, flush them to disk, and return their checksum."""
        rows = np.ascontiguousarray(rows, self._dtype)
        crc = zlib.crc32(rows.tobytes())
        while len(rows):
            room = self._shard - self._rows % self._shard
            write_to_disk(self._file or self._open_next(), rows[:room].tobytes())
            self._rows += len(rows[:room])
            rows = rows[room:]
            if self._rows % self._shard == 0:
                self.close()
        return crc

    def finish(self) -> None:
        """Let the last file's header say how many rows it holds; a lone file is there even without any."""
        if self._file is not None or self._shard == sys.maxsize:
            self._write_header(self._file or self._open_next(), self._rows % self._shard)

    def mapped(self) -> NDArray[Any]:
        """The rows of a single file, memory-mapped through its open descriptor."""
        if not self._rows:
            return np.empty((0, *self._shape), self._dtype)
        return np.memmap(cast(FileIO, self._file), self._dtype, "r", self._header_bytes, (self._rows, *self._shape))

    def close(self) -> None:
        """Let go of the open file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open_next(self) -> FileIO:
        self._file = (self._folder / self._name(self._rows // self._shard)).open("w+b", buffering=0)
        self._write_header(self._file, self._shard)
        return self._file

    def _cut(self, file: FileIO, rows: int) -> None:
        file.truncate(self._header_bytes + rows * self._row_bytes)
        self._write_header(file, self._shard)

    def _write_header(self, file: FileIO, rows: int) -> None:
        file.seek(0)
        write_to_disk(file, self._header(rows))
        file.seek(0, 2)

    def _header(self, rows: int) -> bytes:
        """Return the .npy header for ``rows``; numpy pads it so that its length does not depend on them."""
        header = BytesIO()
        about = {"descr": self._dtype.str, "fortran_order": False, "shape": (rows, *self._shape)}
        np.lib.format.write_array_header_1_0(header, about)
        return header.getvalue()


class StagedRows:
    """A growing array of rows, each of which may be a face, that survives kills.

    A context manager: entering goes on where a killed run of the same job stopped; an exception that leaves the block
    keeps what there is for the next run, if that is any row. Subclasses `_commit` when all rows are there, and may find
    that `_complete` has nothing left to do.

    Attributes:
        rows: how many count.
        pictures_done: pictures of the source list that are behind us, in this run and those before it.
        problems: (source, problem) of every picture that gave no face so far, earlier runs included.
        state: the bookmark of the last batch, a JSON value; None at the beginning.
        complete: the output is there already, made by the same job.
    """

    def __init__(self, output: StagedOutput, array: GrowingArray) -> None:
        self._output, self._array = output, array
        self._forget()
        self.complete = False

    def __len__(self) -> int:
        return self.rows

    def __enter__(self) -> Self:
        with output_errors(self._output.target), ExitStack() as stack:
            stack.enter_context(self._output)
            self.complete = self._is_complete()
            if not self.complete and not self._resume():
                self._output.begin()
            self._block = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._block:
            try:
                if kind is None and not self.complete:
                    with output_errors(self._output.target):
                        self._commit()
            finally:
                self._array.close()
                if self.complete or not self.rows:
                    self._output.discard()

    def _is_complete(self) -> bool:
        """Say whether the output is there, made by this job; then take over what is known of it."""
        return False

    def _commit(self) -> None:
        """Complete the files in the partial folder and let the output commit."""
        raise NotImplementedError

    def _add(
        self,
        rows: NDArray[Any],
        faces: Sequence[Face],
        problems: Sequence[tuple[str, str]],
        pictures_done: int,
        state: Any,  # noqa: ANN401 (any JSON value)
    ) -> None:
        """Let a batch of rows count; when this returns, it survives a kill.

        Raises:
            OutputError: it cannot be written; all earlier batches still count.
        """
        with output_errors(self._output.target):
            entry = {
                "rows": len(rows),
                "crc32": self._array.append(rows),
                "pictures_done": pictures_done,
                "problems": [list(problem) for problem in problems],
                "state": state,
                "faces": [face_values(face) for face in faces],
            }
            self._output.add(entry)
            self._count(entry)

    def _tables(self) -> Iterator[pa.Table]:
        """Yield the faces that count, a row group at a time, so that memory does not grow with the set."""
        faces = (face_from_row(row) for entry in self._output.entries() for row in entry["faces"])
        while group := list(islice(faces, ROW_GROUP)):
            yield faces_to_table(group)

    def _resume(self) -> bool:
        self._forget()
        if resumed := self._output.resume(self._counts):
            self._array.resume(self.rows)
        return resumed

    def _counts(self, entry: dict[str, Any]) -> bool:
        if self._array.checksum(self.rows, self.rows + entry["rows"]) != entry["crc32"]:
            return False
        self._count(entry)
        return True

    def _forget(self) -> None:
        self.rows, self.pictures_done, self.state = 0, 0, None
        self.problems: list[tuple[str, str]] = []

    def _count(self, entry: dict[str, Any]) -> None:
        self.rows += entry["rows"]
        self.pictures_done = entry["pictures_done"]
        self.problems += [(source, problem) for source, problem in entry["problems"]]
        self.state = entry["state"]
