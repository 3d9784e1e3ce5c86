"""The rows of a face set on disk: the footer is read at once, the rest by column or row group when it is needed."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ferkit.data.faces import FACE_SCHEMA, Face, face_from_row, with_all_columns
from ferkit.data.places import to_absolute


class WithColumns(ABC):
    """A set of faces whose table is read by column, and as a whole only where that is asked for."""

    @property
    @abstractmethod
    def column_names(self) -> list[str]:
        """Names of the columns: those of `FACE_SCHEMA`, and whatever else the table holds."""

    @cached_property
    def table(self) -> pa.Table:
        """One row per face, all columns; read at the first use. `columns` needs less memory.

        Raises:
            SetError: the table was removed or damaged since the set was opened.
        """
        return self._read(None)

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Return some columns, one row per face; nothing else is read.

        Raises:
            KeyError: there is no column of such a name.
            SetError: as `table`.
        """
        return self.table.select(names) if "table" in vars(self) else self._read(names)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return one column; raises as `columns`."""
        return self.columns([name]).column(0)

    @abstractmethod
    def _read(self, names: Sequence[str] | None) -> pa.Table:
        """Read some columns, or all; raises as `columns`."""


class FaceTable:
    """A parquet file of faces.

    Attributes:
        path: the file.
        names: its columns, those of `FACE_SCHEMA` that it lacks included.
        metadata: what its schema carries beside the columns.

    Args:
        path: the file; columns of `FACE_SCHEMA` that may be empty need not be there.

    Raises:
        ValueError: it is missing, damaged, or lacks a column; the message begins with the file's name.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._folder = path, path.resolve().parent
        with _problems_of(path):
            self._footer = pq.read_metadata(path)
            schema = self._footer.schema.to_arrow_schema()
        self._names = schema.names
        self.names: list[str] = with_all_columns(
            pa.Table.from_batches([], schema), path.name
        ).column_names  # pandas stays out
        self.metadata: dict[bytes, bytes] = schema.metadata or {}
        groups = (self._footer.row_group(group).num_rows for group in range(self._footer.num_row_groups))
        self._starts = np.cumsum([0, *groups])
        self._last: tuple[int, pa.Table] | None = None

    def __len__(self) -> int:
        return int(self._footer.num_rows)

    def read(self, names: Sequence[str] | None = None) -> pa.Table:
        """Read some columns, or everything that the file holds.

        Raises:
            KeyError: there is no column of such a name.
            ValueError: the file was removed or damaged since it was opened.
        """
        with _problems_of(self.path), self._opened() as file:
            if names is None:
                return to_absolute(with_all_columns(file.read(), self.path.name), self._folder)
            there = to_absolute(file.read(columns=[name for name in names if name in self._names]), self._folder)
        missing = [name for name in names if name not in self._names]
        for name in missing:
            there = there.append_column(name, pa.nulls(len(self), FACE_SCHEMA.field(name).type))
        return there.select(names)

    def sha256(self) -> str:
        """Return the hex digest of the file; `ValueError` if it was removed since it was opened."""
        with _problems_of(self.path), self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def faces(self, rows: NDArray[np.int64]) -> list[Face]:
        """Return the faces of ``rows`` (n,), each from 0 to the length; row groups are read in ascending order.

        Raises:
            ValueError: the file was removed or damaged since it was opened.
        """
        order = np.argsort(rows, kind="stable")
        cuts = np.searchsorted(rows[order], self._starts)
        found: dict[int, Face] = {}
        for part in np.flatnonzero(np.diff(cuts)).tolist():
            places = order[cuts[part] : cuts[part + 1]]
            below = np.ascontiguousarray(rows[places] - self._starts[part], np.int64)
            found |= zip(places.tolist(), self._faces(part, below), strict=True)
        return [found[place] for place in range(len(rows))]

    def _faces(self, group: int, rows: NDArray[np.int64]) -> list[Face]:
        # Made without pa.array, which loads pandas where that is installed.
        indices = pa.Array.from_buffers(pa.int64(), len(rows), [None, pa.py_buffer(rows)])
        return [face_from_row(values) for values in self._group(group).take(indices).to_pylist()]

    def _group(self, number: int) -> pa.Table:
        last = self._last
        if last is None or last[0] != number:
            with _problems_of(self.path), self._opened() as file:
                table = with_all_columns(file.read_row_group(number), self.path.name)
            last = self._last = (number, to_absolute(table.select(FACE_SCHEMA.names), self._folder))
        return last[1]

    def _opened(self) -> pq.ParquetFile:
        # Opened anew for every read: threads may share this object, and no handle is kept.
        return pq.ParquetFile(self.path, metadata=self._footer)


class JoinedTable(FaceTable):
    """The tables of all parts of a set, one behind the other; they lie in one folder.

    Args:
        path: of what lists the parts.
        parts: at least one.
    """

    def __init__(self, path: Path, parts: Sequence[FaceTable]) -> None:
        self.path, self._parts = path, parts
        self._starts = np.cumsum([0, *map(len, parts)])
        self.names, self.metadata = parts[0].names, {}

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, names: Sequence[str] | None = None) -> pa.Table:
        """As `FaceTable.read`."""
        return pa.concat_tables([part.read(names) for part in self._parts])

    def _faces(self, number: int, rows: NDArray[np.int64]) -> list[Face]:
        return self._parts[number].faces(rows)


@contextmanager
def _problems_of(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise ValueError(f"{path.name} is missing") from None
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} cannot be read") from error
