"""Tables as other programs read them: flat columns, one row a face, as CSV, TSV or parquet."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyarrow import csv

from ferkit.atomic import atomic_path
from ferkit.data.faces import PARQUET_OPTIONS
from ferkit.errors import OutputError
from ferkit.locks import require_name

_POINTS = {
    "box": ("x0", "y0", "x1", "y1"),
    "landmarks": tuple(
        f"{name}_{axis}" for name in ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth") for axis in "xy"
    ),
}
_SUFFIXES = (".csv", ".tsv", ".parquet")


def flat_points(table: pa.Table) -> pa.Table:
    """Return ``table`` with its columns "box" and "landmarks" as one column a number: ``x0`` … and ``left_eye_x`` …."""
    for column, names in _POINTS.items():
        if column not in table.column_names:
            continue
        at, points = table.column_names.index(column), _rows(table.column(column), len(names))
        table = table.remove_column(at)
        for offset, name in enumerate(names):
            values = pa.array(points[:, offset], pa.float64(), from_pandas=True)  # NaN becomes null
            table = table.add_column(at + offset, name, values)
    return table


def check_table_output(path: Path, columns: Sequence[str]) -> None:
    """Refuse a name that says no format, and to replace what is no such table; call it before long work.

    Args:
        path: the table.
        columns: its first ones, by which an older table of the same kind is known.

    Raises:
        OutputError: it ends in none of .csv, .tsv and .parquet, or is a folder or a file of another kind.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise OutputError(f"a table's name ends in {', '.join(_SUFFIXES)}, and {str(path)!r} does not; try {path}.csv")
    require_name(path)
    if path.is_dir():
        raise OutputError(f"{str(path)!r} is a folder; choose another output")
    if path.is_file() and path.stat().st_size and _columns_of(path)[: len(columns)] != list(columns):
        raise OutputError(
            f"{str(path)!r} is there already and is no table of this kind by ferkit; choose another output, or remove"
            " it first"
        )


def write_table_file(table: pa.Table, path: Path) -> None:
    """Write a table in the format that its name says; what was there is replaced as a whole.

    Raises:
        OutputError: as `check_table_output`, or it cannot be written.
    """
    check_table_output(path, table.column_names[:3])
    with atomic_path(path) as temporary:
        if path.suffix.lower() == ".parquet":
            pq.write_table(table, temporary, **PARQUET_OPTIONS)
        else:
            delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
            csv.write_csv(table, temporary, csv.WriteOptions(delimiter=delimiter, quoting_style="needed"))


def _columns_of(path: Path) -> list[str]:
    """The names of a table's columns; none where it is not one."""
    try:
        if path.suffix.lower() == ".parquet":
            return list(pq.read_schema(path).names)
        with path.open("rb") as file:
            head = file.readline(1 << 16).decode("utf-8", "replace")
    except (OSError, pa.ArrowException):
        return []
    return [name.strip('"') for name in head.strip("\r\n").split("\t" if path.suffix.lower() == ".tsv" else ",")]


def _rows(column: pa.ChunkedArray, width: int) -> NDArray[np.float64]:
    """(N, width) numbers of lists; NaN where there is none."""
    rows = np.full((len(column), width), np.nan)
    known = pc.is_valid(column).to_numpy()
    rows[known] = pc.list_flatten(column).to_numpy().reshape(-1, width)
    return rows
