"""Where the pictures of a set lie: what is below the set's own folder is written relative to it, ``./photos/a.jpg``.

So both can travel together, and the files of the set tell no more of the machine than they must.
"""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

_COLUMNS = ("source", "clip")
_HERE = "./"


def to_relative(table: pa.Table, folder: Path) -> pa.Table:
    """Return the table as it is written to ``folder``, an absolute path."""
    return _replace_prefix(table, f"{folder}{os.sep}", _HERE)


def to_absolute(table: pa.Table, folder: Path) -> pa.Table:
    """Return a table that was read from ``folder`` with absolute places."""
    return _replace_prefix(table, _HERE, f"{folder}{os.sep}")


def _replace_prefix(table: pa.Table, before: str, after: str) -> pa.Table:
    for name in {*_COLUMNS} & {*table.column_names}:
        column = table.column(name)
        below = pc.starts_with(column, before)
        if pc.any(below).as_py():
            moved = pc.utf8_replace_slice(column, start=0, stop=len(before), replacement=after)
            place = table.column_names.index(name)
            table = table.set_column(place, table.schema.field(place), pc.if_else(below, moved, column))
    return table
