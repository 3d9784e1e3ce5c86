"""Parquet files with an image column, as the Hugging Face hub writes them."""

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ferkit.data.sources.columns import FactColumns, find_columns, label_column
from ferkit.data.sources.contents import Sources
from ferkit.data.sources.listing import file_of_entry, open_listed
from ferkit.data.sources.picture import Container, Picture, unreadable_picture
from ferkit.data.sources.rules import SourceRules
from ferkit.documents import parse_json
from ferkit.errors import InputError, UnreadableImageError

_FEW_ROWS = 100_000  # up to which a row may take less than a byte
_CACHED_ROW_GROUPS = 2
_LISTS = (pa.ListType, pa.LargeListType, pa.FixedSizeListType)


def open_parquet(path: Path, rules: SourceRules) -> Sources:
    """Read a parquet file whose rows hold encoded pictures, or the paths of picture files below the file's folder.

    Args:
        path: the file; a struct column of ``bytes`` and ``path``, a binary or a text column is the image.
        rules: how to read it; labels and identities are taken from the struct's ``path``.

    Raises:
        InputError: the file is damaged, or has no such column, or lacks one that the rules name.
    """
    try:
        file = pq.ParquetFile(path)
        row_counts = _row_counts(file.metadata, path.stat().st_size)
        columns = _columns(file.schema_arrow, rules, path)
        facts, class_names = _read_facts(file, columns), _class_names(file.schema_arrow, columns)
        if _holds_bytes(file.schema_arrow.field(columns["image"]).type):
            told = FactColumns(pa.table(facts), class_names)
            return Sources(_ParquetPictures(path, file, row_counts, columns, told, rules), (), label_column(columns))
        listed = pa.table({"image": _entries(file, columns["image"])} | facts)
        sources = open_listed(path, listed, rules, confined=True, class_names=class_names)
        return replace(sources, labels_from=label_column(columns))
    except (OSError, ValueError, pa.ArrowException) as error:  # ValueError where names are no text
        why = " ".join(str(error).split())
        raise InputError(f"cannot read {str(path)!r} as parquet ({why}); give a complete file") from error


class _ParquetPictures(Container):
    """The rows of one parquet file; bytes are read by row group, the last few of which stay in memory."""

    def __init__(
        self,
        path: Path,
        file: pq.ParquetFile,
        row_counts: Sequence[int],
        columns: Mapping[str, str],
        facts: FactColumns,
        rules: SourceRules,
    ) -> None:
        self._path, self._file, self._facts, self._rules = path, file, facts, rules
        self._image = columns["image"]
        self._names = _entries(file, self._image) if rules.label_from or rules.identity_from else None
        self._ends = list(accumulate(row_counts))
        self._groups: OrderedDict[int, pa.ChunkedArray] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def _at(self, row: int) -> Picture:
        source = f"{self._path}#{row}"
        try:
            picture = Picture(source, fetch=partial(self._bytes, source, row), **self._facts(row))
            name = None if self._names is None else self._names[row].as_py()
        except (ValueError, LookupError) as error:  # LookupError where a damaged column is too short
            return unreadable_picture(source, str(error))
        return self._rules.apply(picture, name or self._path.as_posix())

    def _bytes(self, source: str, row: int) -> bytes:
        group = bisect_right(self._ends, row)
        try:
            value = self._images(group)[row - (self._ends[group - 1] if group else 0)].as_py()
        except (OSError, ValueError, LookupError, pa.ArrowException) as error:
            raise UnreadableImageError(source, f"the parquet file is damaged here: {error}") from error
        content, entry = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
        return self._file_bytes(source, entry) if content is None else bytes(content)

    def _images(self, group: int) -> pa.ChunkedArray:
        with self._lock:
            if group not in self._groups:
                self._groups[group] = self._file.read_row_group(group, columns=[self._image]).column(0)
            self._groups.move_to_end(group)
            while len(self._groups) > _CACHED_ROW_GROUPS:
                self._groups.popitem(last=False)
            return self._groups[group]

    def _file_bytes(self, source: str, entry: str | None) -> bytes:
        """Read the file that a row names where it holds no bytes itself, as the Hugging Face hub allows."""
        if entry is None:
            raise UnreadableImageError(source, "the row holds no image bytes")
        try:
            return file_of_entry(self._path, entry, confined=True).read_bytes()
        except ValueError as error:
            raise UnreadableImageError(source, str(error)) from error
        except OSError as error:
            raise UnreadableImageError(source, f"it names {entry!r}: {error.strerror}") from error


def _row_counts(metadata: pq.FileMetaData, size: int) -> list[int]:
    counts = [int(metadata.row_group(i).num_rows) for i in range(metadata.num_row_groups)]
    if min(counts, default=0) < 0:
        raise ValueError(f"it states {min(counts)} rows")
    if sum(counts) > max(size, _FEW_ROWS):
        raise ValueError(f"it states {sum(counts):,} rows in {size:,} bytes, which cannot hold as many pictures")
    return counts


def _columns(schema: pa.Schema, rules: SourceRules, path: Path) -> dict[str, str]:
    """Find the columns to read; lists are passed over unless they are boxes."""
    box = rules.columns.get("box", "box")
    usable = [field.name for field in schema if field.name == box or not isinstance(field.type, _LISTS)]
    structs = [field for field in schema if pa.types.is_struct(field.type)]
    usable += [f"{field.name}.{part.name}" for field in structs for part in field.type]
    found = find_columns(usable, rules, path)
    if "image" not in found or not _is_image(schema.field(found["image"]).type):
        columns = ", ".join(schema.names)
        raise InputError(
            f"{str(path)!r} has no column `image` with encoded pictures or paths, only: {columns}; name another file, "
            "or another column with `--columns image=NAME`"
        )
    return found


def _is_image(kind: pa.DataType) -> bool:
    return _holds_bytes(kind) or _is_text(kind) or (pa.types.is_struct(kind) and _is_text(_part(kind, "path")))


def _holds_bytes(kind: pa.DataType) -> bool:
    kind = _part(kind, "bytes") if pa.types.is_struct(kind) else kind
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def _is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _part(kind: pa.DataType, name: str) -> pa.DataType:
    return kind.field(name).type if kind.get_field_index(name) >= 0 else pa.null()


def _entries(file: pq.ParquetFile, column: str) -> pa.ChunkedArray | None:
    """Return the path that each row gives its picture; None where the rows give none."""
    kind = file.schema_arrow.field(column).type
    if not pa.types.is_struct(kind):
        return file.read(columns=[column]).column(0).cast(pa.string()) if _is_text(kind) else None
    if not _is_text(_part(kind, "path")):
        return None
    return pc.struct_field(file.read(columns=[f"{column}.path"]).column(0), "path")


def _read_facts(file: pq.ParquetFile, columns: Mapping[str, str]) -> dict[str, pa.ChunkedArray]:
    """Read what the rows say beside the image, under our names."""
    theirs = {ours: name for ours, name in columns.items() if ours != "image"}
    table = file.read(columns=sorted(set(theirs.values())))
    return {ours: _column(table, name) for ours, name in theirs.items()}


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    """A column, or the part ``struct.part`` of one, without Arrow's views."""
    if name in table.column_names:
        column = table[name]
    else:
        outer, _, inner = name.partition(".")
        column = pc.struct_field(table[outer], inner)
    return column.cast(pa.string()) if _is_text(column.type) else column


def _class_names(schema: pa.Schema, columns: Mapping[str, str]) -> dict[str, dict[Any, str]]:
    """Return what the hub keeps beside columns of class numbers, for those of label and identity that have it."""
    found = {ours: _hub_names(schema, columns[ours]) for ours in ("label", "identity") if ours in columns}
    return {ours: names for ours, names in found.items() if names}


def _hub_names(schema: pa.Schema, column: str) -> dict[Any, str]:
    try:
        features = parse_json((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return dict(enumerate(features[column]["names"]))
    except (KeyError, TypeError, ValueError):
        return {}
