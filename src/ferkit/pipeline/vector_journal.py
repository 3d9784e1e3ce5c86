"""The unfinished embedding set: vectors that only grow, and a journal that says how far they count."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ferkit.atomic import output_errors, remove
from ferkit.data.faces import FACE_SCHEMA, faces_to_table
from ferkit.data.journal import Journal
from ferkit.errors import OutputError
from ferkit.pipeline.face_finder import FaceBatch

__all__ = ["StagedVectors"]

_JOURNAL, _VECTORS = "journal.jsonl", "vectors.f32"
_TABLE_ROWS = 65536


class StagedVectors:
    """Keeps the vectors of an embedding set in ``<target>.partial/`` until all are there, flushed after each batch.

    Used as a context manager. A killed run of the same job goes on from `pictures_done`. When the block ends well, the
    folder is removed; when an exception leaves it, the folder stays for the next run, if it holds any vector.

    Args:
        target: the ``.npy`` file to be.
        dim: length of a vector.
        job: all that decides the result; for another job the folder starts afresh.
        rows: those of the whole set, where they are known beforehand: each picture is a face then. None keeps the faces
            of every batch.
    """

    def __init__(self, target: Path, dim: int, job: Mapping[str, Any], rows: pa.Table | None = None) -> None:
        self._target = target
        self._rows = rows
        self._dim = dim
        self._folder = target.with_name(f"{target.name}.partial")
        self._journal = Journal(self._folder / _JOURNAL, {"dim": dim, **job})
        self._file: BinaryIO | None = None

    def __len__(self) -> int:
        return self._journal.rows if self._rows is None else self._journal.pictures_done

    @property
    def pictures_done(self) -> int:
        """How many pictures are behind us, in this run and those before it."""
        return self._journal.pictures_done

    @property
    def state(self) -> Any:  # noqa: ANN401 (any JSON value)
        """The bookmark of the last batch, of this run or of those before it; None at the beginning."""
        return self._journal.state

    @property
    def problems(self) -> list[tuple[str, str]]:
        """(source, problem) of every picture that gave no face, earlier runs included."""
        return list(self._journal.problems)

    def __enter__(self) -> StagedVectors:
        with output_errors(self._target):
            if not self._resume():
                self._begin()
        return self

    def append(self, vectors: NDArray[np.float32], batch: FaceBatch) -> None:
        """Add the (n, D) vectors of a batch; when this returns, they survive a kill.

        Raises:
            OutputError: they cannot be written; all earlier batches still count.
        """
        with output_errors(self._target):
            self._write(vectors)
            faces = batch.faces if self._rows is None else []
            self._journal.add(faces, batch.problems, self.pictures_done + batch.pictures, batch.state)

    def vectors(self) -> NDArray[np.float32]:
        """Return all (N, D) vectors, memory-mapped; valid inside the block."""
        if not len(self):
            return np.empty((0, self._dim), np.float32)
        return np.memmap(self._folder / _VECTORS, np.float32, mode="r", shape=(len(self), self._dim))

    def table(self) -> pa.Table:
        """Return the faces' rows, in the order of the vectors."""
        if self._rows is not None:
            return self._rows
        faces = self._journal.faces()
        parts = [FACE_SCHEMA.empty_table()]
        while some := list(islice(faces, _TABLE_ROWS)):
            parts.append(faces_to_table(some))
        return pa.concat_tables(parts)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        self._journal.close()
        if kind is None or not len(self):
            remove(self._folder)

    def _resume(self) -> bool:
        if not self._journal.resume():
            return False
        path, wanted = self._folder / _VECTORS, len(self) * self._dim * 4
        if not path.is_file() or path.stat().st_size < wanted:
            return False
        self._file = path.open("r+b", buffering=0)
        self._file.truncate(wanted)
        self._file.seek(wanted)
        return True

    def _begin(self) -> None:
        _refuse_foreign(self._folder)
        self._journal.close()
        remove(self._folder)
        try:
            self._folder.mkdir(parents=True)
            self._file = (self._folder / _VECTORS).open("wb", buffering=0)
            self._journal.begin()
        except OSError:
            remove(self._folder)
            raise

    def _write(self, vectors: NDArray[np.float32]) -> None:
        if self._file is None:
            raise RuntimeError("enter the block first")
        rest = memoryview(vectors.astype(np.float32, copy=False).tobytes())
        while len(rest):  # an unbuffered write may stop short of a full disk, and only the next one says so
            rest = rest[self._file.write(rest) :]
        os.fsync(self._file.fileno())


def _refuse_foreign(folder: Path) -> None:
    """Never delete a folder of somebody else's because of its name."""
    if not folder.exists():
        return
    ours = folder.is_dir() and {child.name for child in folder.iterdir()} <= {_JOURNAL, _VECTORS}
    if not ours:
        raise OutputError(f"{str(folder)!r} is in the way and not ferkit's; move it or choose another output")
