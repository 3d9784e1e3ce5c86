"""FERPlus: ten people's votes on each picture of FER2013 (Barsoum et al., ICMI 2016)."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from ferkit.data.sources.layouts.fer2013 import FER2013_FILES, Fer2013Table, rows_by_split
from ferkit.data.sources.layouts.folders import first_present, image_names, joined, wrong_folder
from ferkit.data.sources.layouts.layout import LazyPictures, Parts, or_unreadable
from ferkit.data.sources.layouts.table import Table
from ferkit.data.sources.picture import Picture
from ferkit.errors import InputError

_EMOTIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
_VOTES = (*_EMOTIONS, "unknown", "NF")
_COLUMNS = ("Usage", "Image name", *_VOTES)
_FOLDERS = {"train": "FER2013Train", "val": "FER2013Valid", "test": "FER2013Test"}


def majority(votes: Sequence[str]) -> str | None:
    """Return the emotion with more votes than every other choice; None for a tie, "unknown" or "not a face".

    Args:
        votes: ten counts: neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, NF.

    Returns:
        The label: the most voted of all ten, where it is one alone and an emotion (no half of the votes is asked for).

    Raises:
        ValueError: there are not ten counts.
    """
    counts = [int(count) for count in votes]
    if len(counts) != len(_VOTES) or min(counts) < 0:
        raise ValueError(f"{', '.join(votes)} are not the votes on {len(_VOTES)} choices")
    most = max(counts)
    winner = counts.index(most)
    return _EMOTIONS[winner] if counts.count(most) == 1 and winner < len(_EMOTIONS) else None


def read_ferplus(root: Path) -> Parts:
    """Read the folders that Microsoft's script makes, else ``fer2013new.csv`` with ``fer2013.csv`` beside it."""
    for base in (root, root / "data"):
        found = {split: base / name for split, name in _FOLDERS.items() if _has_pictures(base / name)}
        if found:
            return {split: _folder_pictures(folder) for split, folder in found.items()}
    if not (root / "fer2013new.csv").exists():
        raise wrong_folder(root, "FERPlus", "fer2013new.csv or FER2013Train/label.csv", "it")
    pixels = first_present(root, FER2013_FILES)
    if pixels is None:
        raise wrong_folder(root, "FERPlus", "fer2013.csv beside fer2013new.csv", "both")
    return _csv_pictures(Table(root / "fer2013new.csv", _COLUMNS, needed=_COLUMNS), Fer2013Table(pixels))


def _has_pictures(folder: Path) -> bool:
    # Microsoft's repository has the folders with label.csv alone, until its script has run.
    return (folder / "label.csv").exists() and bool(image_names(folder))


def _folder_pictures(folder: Path) -> LazyPictures:
    table = Table(folder / "label.csv", ())
    return LazyPictures(len(table), partial(_folder_picture, folder, table))


def _folder_picture(folder: Path, table: Table, row: int) -> Picture:
    # A box, always the whole picture, may stand between the name and the votes.
    def make() -> Picture:
        name, *rest = table.fields(row)
        return Picture(joined(folder, name), label=majority(rest[-len(_VOTES) :]))

    return or_unreadable(table.place(row), make)


def _csv_pictures(votes: Table, pixels: Fer2013Table) -> Parts:
    if len(votes) != len(pixels):
        raise InputError(
            f"{str(votes.path)!r} has {len(votes)} rows and {str(pixels.path)!r} {len(pixels)}, "
            "which must be the same pictures; give both files complete"
        )
    # The pictures without a name are no faces, and not part of FERPlus.
    parts = rows_by_split(votes, lambda row: bool(row["Image name"]))
    return {split: _part(votes, pixels, rows) for split, rows in parts.items()}


def _part(votes: Table, pixels: Fer2013Table, rows: Sequence[int]) -> LazyPictures:
    def make(index: int) -> Picture:
        row = rows[index]
        return or_unreadable(votes.place(row), lambda: pixels.face(row, _label(votes, row)))

    return LazyPictures(len(rows), make)


def _label(votes: Table, row: int) -> str | None:
    fields = votes[row]
    return majority([fields[name] for name in _VOTES])
