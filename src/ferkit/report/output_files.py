"""The files beside an answer, by what they are: pictures, tables, a page, and folders of photos."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pyarrow as pa

from ferkit.atomic import atomic_path
from ferkit.data.sources import find_picture
from ferkit.errors import InputError, OutputError
from ferkit.progress import Progress
from ferkit.report.pages import check_page_output
from ferkit.report.safe_picture import check_picture_output
from ferkit.report.table_file import check_table_output, write_table_file

_PICTURES, _TABLES = {"montage", "explain", "sheet", "plot"}, {"csv", "parquet"}
_FOLDERS = {"copy": "--copy-to", "copies": "--copy-to", "frames": "--frames"}
_ARROW_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64()}
_NAME_LENGTH = 80


def named_files(**files: str | Path | None) -> dict[str, Path]:
    """Return those of some files, by what they are, that are asked for."""
    return {name: Path(path) for name, path in files.items() if path is not None}


def check_output_files(files: Mapping[str, Path], inputs: Iterable[str | Path], row: type) -> None:
    """Refuse files that cannot be written or would replace what ferkit did not make; call it before long work.

    Args:
        files: by what they are: ``montage``, ``explain``, ``sheet``, ``plot``, ``csv``, ``parquet``, ``html``,
            ``copy``, ``copies``, ``frames``.
        inputs: the pictures that the answer is made of.
        row: the dataclass of a row of the tables.

    Raises:
        OutputError: there is such a file.
    """
    for name, path in files.items():
        if name in _PICTURES:
            check_picture_output(path, map(Path, inputs))
        elif name in _TABLES:
            check_table_output(path, [field.name for field in fields(row)][:3])
        elif name == "html":
            check_page_output(path)
        elif path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise OutputError(f"{str(path)!r} is there already; give {_FOLDERS[name]} a new folder")


def write_rows(rows: Sequence[Any], kind: type, path: Path) -> None:
    """Write dataclasses as a table, a column a field; raises as `write_table_file`."""
    hints = {name: (*get_args(hint), hint)[0] for name, hint in get_type_hints(kind).items()}
    columns = {name: pa.array([getattr(row, name) for row in rows], _ARROW_TYPES[hint]) for name, hint in hints.items()}
    write_table_file(pa.table(columns), path)


def copy_photos(photos: Iterable[tuple[int, str, float | None]], folder: Path, progress: Progress) -> None:
    """Copy pictures into a new folder; those that are gone are left out and told.

    Args:
        photos: of each the number that its copy's name begins with, its source, and the time of a frame.
        folder: to make.
        progress: told what is missing.
    """
    missing, photos = 0, list(photos)
    with atomic_path(folder) as partial:
        partial.mkdir()
        for number, source, time_s in photos:
            try:
                picture = find_picture(source, time_s=time_s)
                content = picture.fetch() if picture.fetch is not None else Path(source)
            except InputError:
                missing += 1
                continue
            copy = partial / f"{number:03d} {_copy_name(source, content)}"
            if isinstance(content, Path):
                shutil.copy2(content, copy)
            else:
                copy.write_bytes(content)
    if missing:
        progress.say(f"{missing} of the {len(photos)} pictures found are not where they were; they are not copied")


def _copy_name(source: str, content: Path | bytes) -> str:
    if isinstance(content, Path):
        return content.stem[-_NAME_LENGTH:] + content.suffix
    path, _, place = source.rpartition("#")
    suffix = ".png" if content.startswith(b"\x89PNG") else ".webp" if content.startswith(b"RIFF") else ".jpg"
    return f"{Path(path).stem[-_NAME_LENGTH:]} {Path(place).stem[-_NAME_LENGTH:]}{suffix}"
