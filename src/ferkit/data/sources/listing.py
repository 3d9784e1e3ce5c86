"""Pictures that a table names by their paths, one a row."""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ferkit.data.media import VIDEO_SUFFIXES
from ferkit.data.sources.classes import numbered_class
from ferkit.data.sources.columns import FactColumns
from ferkit.data.sources.contents import Sources
from ferkit.data.sources.picture import Picture, Rows
from ferkit.data.sources.rules import SourceRules
from ferkit.data.sources.tree import is_there
from ferkit.data.sources.video import Video
from ferkit.errors import InputError

_VIDEO = rf"(?i)({'|'.join(map(re.escape, sorted(VIDEO_SUFFIXES)))})$"
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def open_listed(
    table: Path,
    columns: pa.Table,
    rules: SourceRules,
    *,
    confined: bool = False,
    class_names: Mapping[str, Mapping[Any, str]] | None = None,
) -> Sources:
    """Take the pictures and videos that a table names, one a row.

    Args:
        table: the table's file; paths in it are relative to its folder.
        columns: ``image`` (text: the paths), and what `FactColumns` reads.
        rules: how labels and identities are read from the paths.
        confined: refuse paths that lead out of the table's folder.
        class_names: as for `FactColumns`.

    Raises:
        InputError: the paths are web addresses, or none of the files exists.
    """
    columns = _with_found_paths(table, columns)
    facts, entries = FactColumns(columns, class_names or {}), columns["image"]

    def picture(row: int) -> Picture:
        entry = entries[row].as_py() or ""
        file = file_of_entry(table, entry, confined=confined)
        found = Picture(str(file), **facts(row))
        if found.label is not None:
            found = replace(found, label=numbered_class(found.label, file.name))
        return rules.apply(found, entry)

    listed = Rows(range(len(entries)), picture, table)
    _require_files(table, listed, entries)
    is_video = np.asarray(pc.fill_null(pc.match_substring_regex(entries, _VIDEO), False))
    if not is_video.any():
        return Sources(listed)
    clips = {row: listed[row] for row in np.flatnonzero(is_video).tolist()}
    videos = [Video(clip.source, clip.label, clip.identity, rules.fps) for clip in clips.values() if clip.fetch is None]
    is_video[[row for row, clip in clips.items() if clip.fetch is not None]] = False  # damaged rows, to be reported
    return Sources(Rows(np.flatnonzero(~is_video).tolist(), picture, table), videos)


def _with_found_paths(table: Path, columns: pa.Table) -> pa.Table:
    """Where a path leads nowhere, put that of the one file below the table's folder that is called so, if there is one.

    Names are compared in Unicode's composed form, which file systems and tables do not agree on.
    """
    entries = columns["image"].to_pylist()
    missing = [row for row, entry in enumerate(entries) if entry and not is_there(table.parent / entry)]
    if not missing or _ADDRESS.match(entries[missing[0]]):
        return columns
    found: dict[str, list[str]] = {}
    for folder, _, names in os.walk(table.parent):
        for name in names:
            path = os.path.relpath(os.path.join(folder, name), table.parent)  # noqa: PTH118 (many)
            for key in {normalize("NFC", path), normalize("NFC", name)}:
                found.setdefault(key, []).append(path)
    for row in missing:
        entry = normalize("NFC", entries[row].replace("\\", "/"))
        same = found.get(entry.removeprefix("./")) or ([] if "/" in entry else found.get(entry, []))
        if len(same) == 1:
            entries[row] = same[0]
    return columns.set_column(columns.column_names.index("image"), "image", pa.array(entries, pa.string()))


def file_of_entry(table: Path, entry: str, *, confined: bool) -> Path:
    """Return the absolute path of the file that a table names, relative to the table's folder.

    Raises:
        ValueError: the entry is empty, or, where it is ``confined`` to the table's folder, leads out of it.
    """
    if not entry.strip():
        raise ValueError("the row names no picture")
    file = table.parent / entry
    if "\\" in entry and not is_there(file):  # written on Windows
        file = table.parent / entry.replace("\\", "/")
    if ".." in file.parts:
        file = Path(os.path.realpath(file.parent), file.name)  # unlike resolve, it survives links in circles
    if confined and not file.is_relative_to(table.parent):
        raise ValueError(f"its path {entry!r} leads out of the table's folder")
    return file


def _require_files(table: Path, listed: Rows, entries: pa.ChunkedArray) -> None:
    """Raise unless one of the listed files exists; an empty table is none to complain of yet."""
    if not len(listed) or any(picture.fetch is None and is_there(Path(picture.source)) for picture in listed):
        return
    first, entry = listed[0].source, entries[0].as_py() or ""
    if _ADDRESS.match(entry):
        raise InputError(f"{str(table)!r} names web addresses ({entry!r}); download the pictures, name the files")
    raise InputError(
        f"no picture that {str(table)!r} names can be found (the first: {first!r}); "
        "its paths must be absolute or start from its own folder"
    )
