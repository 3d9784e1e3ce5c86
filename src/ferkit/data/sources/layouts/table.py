"""Annotation tables: text files with a row for each picture."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ferkit.data.sources.picture import Picture, Rows
from ferkit.errors import InputError

Row = Mapping[str, str]


class Table:
    """The rows of a text file, read when they are asked for: only where each begins is kept.

    Rows are counted from 0, without the line of names and without empty lines.

    Args:
        path: the file.
        columns: names of the columns, in the order of a file whose first line does not name them.
        needed: names of the columns without which the file is useless.
        delimiter: what stands between columns; a space stands for any number of them.

    Raises:
        InputError: the file cannot be read, or lacks a needed column.
    """

    def __init__(self, path: Path, columns: Sequence[str], *, needed: Sequence[str] = (), delimiter: str = ",") -> None:
        self.path = path
        self._delimiter = delimiter
        self._starts = self._find_rows()
        try:
            first = self.fields(0) if len(self) else []
        except ValueError as error:
            raise InputError(f"{str(path)!r} is no table in UTF-8 ({error}); give the file as published") from error
        named = bool(set(first) & set(columns))
        if named:
            self._starts = self._starts[1:]
        self.columns = tuple(first if named else columns)
        missing = [name for name in needed if name not in self.columns]
        if missing:
            has = ", ".join(self.columns)
            raise InputError(f"{str(path)!r} has no column {missing[0]!r}, only: {has}; give the file as published")

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, row: int) -> Row:
        """Return the row's fields by column; `ValueError` if it has more or fewer."""
        fields = self.fields(row)
        if len(fields) != len(self.columns):
            raise ValueError(f"the row has {len(fields)} fields instead of {len(self.columns)}")
        return dict(zip(self.columns, fields, strict=True))

    def place(self, row: int) -> str:
        """Return what a picture is called that is known by its row alone."""
        return f"{self.path}#{row}"

    def fields(self, row: int) -> list[str]:
        """Return the row's fields without the blanks around them; `ValueError` if it is no text."""
        line = self._line(row).decode("utf-8").removeprefix("\ufeff")
        if "\0" in line:
            raise ValueError("it holds zeros, as UTF-16 does")
        if self._delimiter == " ":
            return line.split()
        try:
            return [field.strip() for field in next(csv.reader([line], delimiter=self._delimiter))]
        except csv.Error as error:
            raise ValueError(str(error)) from error

    def rows(self) -> list[Row]:
        """Return all rows; `InputError` if one is damaged."""
        rows = []
        for row in range(len(self)):
            try:
                rows.append(self[row])
            except ValueError as error:
                raise InputError(
                    f"row {row} of {str(self.path)!r} is damaged ({error}); give a complete file"
                ) from error
        return rows

    def _find_rows(self) -> array[int]:
        starts, end = array("q"), 0
        try:
            with self.path.open("rb") as file:
                for line in file:
                    if line.strip():
                        starts.append(end)
                    end += len(line)
        except OSError as error:
            raise InputError(f"cannot read {str(self.path)!r} ({error.strerror}); check the file") from error
        return starts

    def _line(self, row: int) -> bytes:
        # Opened anew each time: threads can read at once, and nothing stays open.
        try:
            with self.path.open("rb") as file:
                file.seek(self._starts[row])
                return file.readline()
        except OSError as error:
            raise InputError(f"cannot read {str(self.path)!r} ({error.strerror}); check the file") from error


def table_pictures(table: Table, read: Callable[[Row], Picture]) -> Rows:
    """Return what ``read`` makes of each row; an unreadable picture where the row is damaged."""
    return Rows(range(len(table)), lambda row: read(table[row]), table.path)
