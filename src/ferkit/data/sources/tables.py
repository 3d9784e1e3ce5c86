"""CSV files and text lists: a picture or video a row, named by its path."""

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.compute as pc

from ferkit.data.media import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from ferkit.data.sources.columns import find_columns, label_column
from ferkit.data.sources.contents import Sources
from ferkit.data.sources.layouts.fer2013 import Fer2013Table
from ferkit.data.sources.listing import open_listed
from ferkit.data.sources.picture import Rows
from ferkit.data.sources.rules import SourceRules
from ferkit.data.sources.tree import is_there
from ferkit.documents import parse_json
from ferkit.errors import InputError

_ROWS_AT_ONCE = 65536
_SEPARATOR = re.compile(r'"?sep=([,;\t|])"?')
_QUOTED = re.compile(r'"[^"]*"')
_SUFFIX = "|".join(re.escape(suffix) for suffix in sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES, reverse=True))
_PATH = re.compile(rf".*(?:{_SUFFIX})", re.IGNORECASE)
_PATH_AND_LABEL = re.compile(rf"(.+?(?:{_SUFFIX}))\s+(.+)", re.IGNORECASE)


def open_csv(path: Path, rules: SourceRules) -> Sources:
    """Read a table with a line of names and a picture's path in each row; commas, semicolons or tabs between columns.

    Columns are found by their names (`ferkit.data.sources.columns.find_columns`), or as ``rules`` say. A table with
    FER2013's column ``pixels`` in place of paths holds its pictures itself.

    Args:
        path: the table, in UTF-8; paths in it are relative to its folder.
        rules: how to read it.

    Raises:
        InputError: the file is no such table, lacks the paths or a column that the rules name, or none of its files
            exists.
    """
    with _open_text(path) as file:
        rows = (row for row in csv.reader(file, delimiter=_find_delimiter(file)) if row)
        header = [name.strip() for name in next(rows, [])]
        found = find_columns(header, rules, path)
        if "image" not in found and "pixels" in header:
            table = Fer2013Table(path)
            pixels = Rows(range(len(table)), lambda row: rules.apply(table.picture(row), path.as_posix()), path)
            return Sources(pixels, labels_from=label_column(found))
        _require_paths(path, header, found)
        columns = _read_columns(rows, {ours: header.index(theirs) for ours, theirs in found.items()})
    return replace(open_listed(path, columns, rules), labels_from=label_column(found))


def _find_delimiter(file: TextIO) -> str:
    """Go to the line of column names, behind remarks and the ``sep=;`` of Excel; return what parts its columns."""
    start, line = 0, file.readline()
    while line.startswith("#") or _SEPARATOR.fullmatch(line.strip()) or (line and not line.strip()):
        stated = _SEPARATOR.fullmatch(line.strip())
        start, line = file.tell(), file.readline()
        if stated:
            file.seek(start)
            return stated[1]
    file.seek(start)
    return max(",;\t", key=_QUOTED.sub("", line).count)


def open_jsonl(path: Path, rules: SourceRules) -> Sources:
    """Read a JSON object a line, a picture's path and what is said of it in each; keys are found as columns are.

    Args:
        path: the file, in UTF-8; paths in it are relative to its folder.
        rules: how to read it.

    Raises:
        InputError: as `open_csv`.
    """
    with _open_text(path) as file:
        try:
            rows = [parse_json(line) for line in file if line.strip()]
        except ValueError as error:
            raise InputError(f"{str(path)!r} is no JSON object a line ({error}); give a complete file") from error
    if not all(isinstance(row, dict) for row in rows):
        raise InputError(f"{str(path)!r} holds a line that is no JSON object; give one a line")
    header = list(dict.fromkeys(name for row in rows for name in row))
    found = find_columns(header, rules, path)
    _require_paths(path, header, found)
    columns = {ours: [_field(row.get(theirs)) for row in rows] for ours, theirs in found.items()}
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    return replace(open_listed(path, table, rules), labels_from=label_column(found))


def _field(value: object) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value)


def open_list(path: Path, rules: SourceRules) -> Sources:
    """Read a text file with a path a line, a tab or blanks and a label behind it if the list has labels.

    Empty lines and those that begin with ``#`` are passed over. A blank is part of a path where the path ends in a
    picture's or video's suffix after it, or where a file of that name exists.

    Args:
        path: the list, in UTF-8; paths in it are relative to its folder.
        rules: how to read it.

    Raises:
        InputError: the file is no text, or none of the files that it names exists.
    """
    with _open_text(path) as file:
        lines = [line.strip() for line in file.read().split("\n")]
    entries = [_path_and_label(line, path.parent) for line in lines if line and not line.startswith("#")]
    if not entries:
        raise InputError(f"the list {str(path)!r} is empty; write a picture's path on each line")
    paths, labels = zip(*entries, strict=True)
    return open_listed(
        path, pa.table({"image": pa.array(paths, pa.string()), "label": pa.array(labels, pa.string())}), rules
    )


@contextmanager
def _open_text(path: Path) -> Iterator[TextIO]:
    try:
        with path.open(encoding="utf-8-sig", newline=None) as file:
            if "\0" in file.readline():  # UTF-16 without a mark; in UTF-8 it is text of a kind
                raise InputError(f"{str(path)!r} is no text in UTF-8 (it holds zeros); save it as UTF-8")
            file.seek(0)
            yield file
    except UnicodeDecodeError as error:
        raise InputError(f"{str(path)!r} is no text in UTF-8 ({error.reason}); save it as UTF-8") from error
    except csv.Error as error:
        raise InputError(f"{str(path)!r} is no table ({error}); give a file of comma-separated values") from error
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror}; check its permissions") from error


def _require_paths(path: Path, header: Sequence[str], found: Mapping[str, str]) -> None:
    if "image" not in found:
        has = f"only: {', '.join(header)}" if header else "it is empty"
        raise InputError(
            f"{str(path)!r} has no column with the pictures' paths, such as `image` or `path` ({has}); "
            "say which one it is with `--columns image=NAME`"
        )


def _read_columns(rows: Iterator[list[str]], places: Mapping[str, int]) -> pa.Table:
    """Read the columns at ``places``; where a row is too short its values are empty."""
    batches = []
    while chunk := list(islice(rows, _ROWS_AT_ONCE)):
        columns = [pa.array([row[i] if i < len(row) else "" for row in chunk], pa.string()) for i in places.values()]
        batches.append(pa.record_batch([pc.utf8_trim_whitespace(column) for column in columns], names=list(places)))
    return pa.Table.from_batches(batches, pa.schema([(name, pa.string()) for name in places]))


def _path_and_label(line: str, folder: Path) -> tuple[str, str | None]:
    if "\t" in line:
        path, _, label = line.partition("\t")
        return path.strip(), label.strip()
    if _PATH.fullmatch(line):
        return line, None
    if match := _PATH_AND_LABEL.fullmatch(line):
        return match[1], match[2]
    if is_there(folder / line):
        return line, None
    path, _, label = line.rpartition(" ")
    return (path, label) if path else (label, None)
