"""Face sets: aligned crops on disk, memory-mapped, with one metadata row each.

A face set is a folder of ``faces-00000.npy`` ... ((N, H, W, 3) uint8 RGB), ``faces.parquet`` (`FACE_SCHEMA`),
``problems.csv`` (the pictures that gave no face, and why) and ``meta.json``.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from ferkit._version import __version__
from ferkit.atomic import flush_to_disk, output_errors, put_in_place, remove
from ferkit.data.faces import (
    FACE_SCHEMA,
    PARQUET_OPTIONS,
    ROW_GROUP,
    Face,
    faces_to_table,
    read_table,
    table_row_to_face,
)
from ferkit.data.staging import Journal, ShardFiles, shard_name
from ferkit.errors import OutputError, SetError

__all__ = ["FaceSet", "FaceSetWriter", "is_face_set"]

_FORMAT = 1
_META, _TABLE, _PROBLEMS, _JOURNAL = "meta.json", "faces.parquet", "problems.csv", "journal.jsonl"
_OURS = re.compile(r"faces-\d{5,}\.npy|faces\.parquet|problems\.csv|meta\.json|journal\.jsonl")


def is_face_set(path: Path) -> bool:
    """Say whether ``path`` is a folder that holds a face set, whole or damaged."""
    return (path / _TABLE).is_file() or (path / shard_name(0)).is_file()


class FaceSet:
    """An opened face set; crops are read from disk as they are asked for.

    Attributes:
        path: absolute path of the folder.
        table: one row per face, columns of `FACE_SCHEMA`.
        template: name of the alignment template that the crops follow.
        size: height and width of a crop in pixels.
    """

    def __init__(
        self, path: Path, table: pa.Table, template: str, size: int, shards: Sequence[NDArray[np.uint8]]
    ) -> None:
        self.path = path
        self.table = table
        self.template = template
        self.size = size
        self._shards = shards
        self._starts = np.cumsum([0, *map(len, shards)])

    @classmethod
    def open(cls, path: Path | str) -> FaceSet:
        """Open the face set in folder ``path``.

        Raises:
            SetError: the folder is no face set, or a part of it is missing or damaged.
        """
        path = Path(path).resolve()
        if not is_face_set(path):
            raise SetError(f"{str(path)!r} is not a face set; make one with `ferkit align PHOTOS -o {path.name}`")
        meta = _read_meta(path)
        try:
            table = read_table(path / _TABLE)
        except ValueError as error:
            raise _damaged(path, str(error)) from error
        shards = list(_open_shards(path, meta["size"]))
        _check_counts(path, meta["count"], table.num_rows, sum(map(len, shards)))
        return cls(path, table, meta["template"], meta["size"], shards)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __reduce__(self) -> tuple[Any, ...]:
        # Sent to another process, memory maps would travel as gigabytes; the path says it all.
        return FaceSet.open, (self.path,)

    def crops(self, indices: ArrayLike) -> NDArray[np.uint8]:
        """Return the crops at ``indices`` (n,) in that order, as an (n, size, size, 3) uint8 RGB copy.

        The files are read in ascending order whatever the order of ``indices``, repeats included.

        Raises:
            IndexError: an index is negative or not below ``len(self)``.
        """
        wanted = np.asarray(indices, dtype=np.int64).reshape(-1)
        if wanted.size and not 0 <= wanted.min() <= wanted.max() < len(self):
            raise IndexError(f"faces {wanted.min()} to {wanted.max()} of a face set of {len(self)}")
        order = np.argsort(wanted, kind="stable")
        cuts = np.searchsorted(wanted[order], self._starts)
        result = np.empty((len(wanted), self.size, self.size, 3), np.uint8)
        for number in np.flatnonzero(np.diff(cuts)).tolist():
            places = order[cuts[number] : cuts[number + 1]]
            result[places] = self._shards[number][wanted[places] - self._starts[number]]
        return result

    def face(self, index: int) -> Face:
        """Return what is known of the face at ``index``; `IndexError` if there is none."""
        return table_row_to_face(self.table, index)


class FaceSetWriter:
    """Writes a face set that appears whole at the end, and goes on where a killed run of the same job stopped.

    Until then it grows in ``<path>.partial/``. Use it as a context manager; inside, skip the first `pictures_done`
    pictures of the source list. The final bytes depend on the faces alone, neither on breaks nor on batch sizes.
    An exception that leaves the block keeps the partial folder for the next run, if it holds any face.

    Attributes:
        path: absolute path of the face set to be.
    """

    def __init__(
        self,
        path: Path | str,
        template: str,
        size: int,
        *,
        fingerprint: str,
        shard: int = 4096,
        overwrite: bool = False,
    ) -> None:
        """Prepare a face set of (size, size, 3) crops at ``path``; nothing is written yet.

        Args:
            path: folder to make; its parents are made too.
            template: name of the template that the crops are aligned to.
            size: height and width of a crop in pixels.
            fingerprint: digest of all that decides the result (sources, settings); another one starts afresh.
            shard: crops per file.
            overwrite: replace a face set that is there; anything else is never replaced.

        Raises:
            OutputError: ``path`` is taken.
        """
        self.path = Path(path).resolve()
        with output_errors(self.path):
            _refuse_taken(self.path, overwrite)
        self._size = size
        self._overwrite = overwrite
        self._meta = {"format": _FORMAT, "template": template, "size": size}
        self._staging = self.path.with_name(f"{self.path.name}.partial")
        job = {**self._meta, "fingerprint": fingerprint, "shard": shard}
        self._journal = Journal(self._staging / _JOURNAL, job)
        self._shards = ShardFiles(self._staging, size, shard)

    @property
    def pictures_done(self) -> int:
        """How many pictures of the source list are behind us, in this run and those before it."""
        return self._journal.pictures_done

    @property
    def problems(self) -> list[tuple[str, str]]:
        """(source, problem) of every picture that gave no face so far, earlier runs included."""
        return list(self._journal.problems)

    def __len__(self) -> int:
        return self._journal.rows

    def __enter__(self) -> FaceSetWriter:
        with output_errors(self.path):
            if not (self._journal.resume() and self._shards.resume(len(self))):
                self._begin()
        return self

    def append(
        self,
        crops: NDArray[np.uint8],
        faces: Sequence[Face],
        *,
        pictures_done: int,
        problems: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Add the faces of the next pictures; when this returns, they survive a kill.

        A call flushes to disk, so give the faces of some dozen pictures at a time.

        Args:
            crops: (n, size, size, 3) uint8 RGB; n may be 0.
            faces: what is known of each crop, same order.
            pictures_done: pictures of the source list that are finished after this call, earlier ones included.
            problems: (source, problem) of those pictures that gave no face.

        Raises:
            OutputError: it cannot be written; all earlier calls still count.
        """
        expected = (len(faces), self._size, self._size, 3)
        if crops.shape != expected or crops.dtype != np.uint8:
            raise ValueError(f"crops must be {expected} uint8, not {crops.shape} {crops.dtype}")
        with output_errors(self.path):
            self._shards.append(crops)
            self._journal.add(faces, problems, pictures_done)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                with output_errors(self.path):
                    self._finish()
        finally:
            self._shards.close()
            self._journal.close()
            if not len(self):
                remove(self._staging)

    def _begin(self) -> None:
        _refuse_foreign(self._staging)
        self._journal.close()
        remove(self._staging)
        try:
            self._staging.mkdir(parents=True)
            self._journal.begin()
        except OSError:
            self._journal.close()
            remove(self._staging)
            raise

    def _finish(self) -> None:
        self._shards.finish()
        _write_rows(self._journal.faces(), self._staging / _TABLE)
        _write_problems(self._journal.problems, self._staging / _PROBLEMS)
        meta = {**self._meta, "count": len(self), "ferkit": __version__}
        (self._staging / _META).write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")
        self._journal.close()
        flush_to_disk(self._staging)
        _refuse_taken(self.path, self._overwrite)  # hours may have passed
        self._journal.path.unlink()
        put_in_place(self._staging, self.path)


def _refuse_taken(path: Path, overwrite: bool) -> None:
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    _refuse_foreign(path)
    if not overwrite:
        raise OutputError(f"{str(path)!r} already holds a face set; choose another output or add --overwrite")


def _refuse_foreign(path: Path) -> None:
    """Never delete a file, or a folder of somebody's photos, because it was named as the output."""
    if not path.exists():
        return
    if not path.is_dir():
        raise OutputError(f"{str(path)!r} is a file, and a face set is a folder; choose another output")
    foreign = next((child.name for child in path.iterdir() if not _OURS.fullmatch(child.name)), None)
    if foreign is not None:
        raise OutputError(f"{str(path)!r} holds {foreign!r}, which is no part of a face set; choose another output")


def _write_rows(faces: Iterator[Face], path: Path) -> None:
    """Write the table a row group at a time, so that memory does not grow with the set."""
    with pq.ParquetWriter(path, FACE_SCHEMA, **PARQUET_OPTIONS) as writer:
        while group := list(islice(faces, ROW_GROUP)):
            writer.write_table(faces_to_table(group), row_group_size=ROW_GROUP)


def _write_problems(problems: Sequence[tuple[str, str]], path: Path) -> None:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["source", "problem"])
        writer.writerows(problems)


def _read_meta(path: Path) -> dict[str, Any]:
    try:
        meta = json.loads((path / _META).read_text(encoding="utf-8"))
        newer = int(meta["format"]) > _FORMAT
        found = {"template": str(meta["template"]), "size": int(meta["size"]), "count": int(meta["count"])}
    except FileNotFoundError:
        raise _damaged(path, f"{_META} is missing") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, f"{_META} cannot be understood") from error
    if newer:
        raise SetError(f"face set {str(path)!r} was written by a newer ferkit; upgrade with `pip install -U ferkit`")
    return found


def _open_shards(path: Path, size: int) -> Iterator[NDArray[np.uint8]]:
    count = len(list(path.glob("faces-*.npy")))
    for name in map(shard_name, range(count)):
        try:
            shard = np.load(path / name, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError:
            raise _damaged(path, f"{name} is missing") from None
        except (OSError, ValueError, EOFError) as error:
            raise _damaged(path, f"{name} is cut short or no array") from error
        if shard.shape[1:] != (size, size, 3) or shard.dtype != np.uint8:
            raise _damaged(path, f"{name} is {shard.shape} {shard.dtype}, not (N, {size}, {size}, 3) uint8")
        yield shard


def _check_counts(path: Path, stated: int, rows: int, crops: int) -> None:
    if not stated == rows == crops:
        raise _damaged(path, f"{_META} says {stated} faces, {_TABLE} holds {rows} and the shards {crops}")


def _damaged(path: Path, what: str) -> SetError:
    return SetError(f"face set {str(path)!r} is damaged: {what}; make it again with `ferkit align`")
