"""FER2013: gray pictures written out as numbers in a csv file (Goodfellow et al., 2013).

And FERPlus: ten people's votes on each of these pictures (Barsoum et al., ICMI 2016).
"""

from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from ferkit.data.expressions import expression_of_code
from ferkit.data.sources.layouts.layout import Parts, image_names, path_below, require_path
from ferkit.data.sources.layouts.table import Row, Table
from ferkit.data.sources.picture import Picture, Rows
from ferkit.errors import InputError, UnreadableImageError

_FILES = ("fer2013.csv", "icml_face_data.csv", "fer2013/fer2013.csv")
_USAGES = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}

# CK+ in this form has contempt too.
_CODES = dict(enumerate(("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "contempt")))
_SIDE = 48

_EMOTIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
_VOTES = (*_EMOTIONS, "unknown", "NF")
_FERPLUS_COLUMNS = ("Usage", "Image name", *_VOTES)
_FERPLUS_FOLDERS = {"train": "FER2013Train", "val": "FER2013Valid", "test": "FER2013Test"}


class Fer2013Table(Table):
    """``fer2013.csv``, or ``icml_face_data.csv``, which has the columns in another order."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, ("emotion", "pixels", "Usage"), needed=("pixels",))

    def picture(self, row: int) -> Picture:
        """Return the picture of a row, under ``<path>#<row>``; `ValueError` if the row is damaged."""
        emotion = self[row].get("emotion")  # the competition's test.csv has none
        return self.face(row, None if emotion is None else expression_of_code(emotion, _CODES))

    def face(self, row: int, label: str | None) -> Picture:
        """Return the picture of a row with a label from elsewhere."""
        return Picture(self.place(row), label=label, fetch=partial(self._png, row))

    def _png(self, row: int) -> bytes:
        try:
            pixels = _pixels(self[row])
        except ValueError as error:
            raise UnreadableImageError(self.place(row), str(error)) from error
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return buffer.getvalue()


def read_fer2013(root: Path) -> Parts:
    """Read ``fer2013.csv`` or ``icml_face_data.csv``; PublicTest is the split val, PrivateTest the split test."""
    table = Fer2013Table(require_path(root, *_FILES))
    return {split: Rows(rows, table.picture, table.path) for split, rows in _rows_by_split(table).items()}


def _rows_by_split(table: Table, wanted: Callable[[Row], bool] = lambda row: True) -> dict[str, list[int]]:
    """Return the rows of each split by their ``Usage``, of those that are ``wanted``.

    Damaged rows go with the training rows; what is wrong with them is said when their pictures are read.

    Raises:
        InputError: a usage is unknown: the row could be meant for the test.
    """
    rows: dict[str, list[int]] = {split: [] for split in _USAGES.values()}
    for row in range(len(table)):
        try:
            fields = table[row]
        except ValueError:
            rows["train"].append(row)
            continue
        if wanted(fields):
            rows[_split(table.place(row), fields.get("Usage", ""))].append(row)
    return rows


def _split(place: str, usage: str) -> str:
    if usage not in _USAGES:
        raise InputError(f"the usage of {place!r} is {usage!r}; give the file as published, with {', '.join(_USAGES)}")
    return _USAGES[usage]


def _pixels(row: Row) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    values = np.array([int(value) for value in row["pixels"].split()])
    if values.size != _SIDE * _SIDE:
        raise ValueError(f"the row has {values.size} pixels instead of {_SIDE} x {_SIDE}")
    if values.min() < 0 or values.max() > 255:
        raise ValueError("the row has pixels outside 0 to 255")
    return values.reshape(_SIDE, _SIDE).astype(np.uint8)


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
        folders = {split: base / name for split, name in _FERPLUS_FOLDERS.items() if _has_pictures(base / name)}
        if folders:
            return {split: _folder_pictures(folder) for split, folder in folders.items()}
    require_path(root, "fer2013new.csv")
    pixels = Fer2013Table(require_path(root, *_FILES, part="fer2013.csv beside fer2013new.csv"))
    votes = Table(root / "fer2013new.csv", _FERPLUS_COLUMNS, needed=_FERPLUS_COLUMNS)
    if len(votes) != len(pixels):
        raise InputError(
            f"{str(votes.path)!r} has {len(votes)} rows and {str(pixels.path)!r} {len(pixels)}, "
            "which must be the same pictures; give both files complete"
        )

    def picture(row: int) -> Picture:
        return pixels.face(row, majority([votes[row][name] for name in _VOTES]))

    # The pictures without a name are no faces, and not part of FERPlus.
    parts = _rows_by_split(votes, lambda row: bool(row["Image name"]))
    return {split: Rows(rows, picture, votes.path) for split, rows in parts.items()}


def _has_pictures(folder: Path) -> bool:
    # Microsoft's repository has the folders with label.csv alone, until its script has run.
    return (folder / "label.csv").exists() and bool(image_names(folder))


def _folder_pictures(folder: Path) -> Rows:
    table = Table(folder / "label.csv", ())

    def picture(row: int) -> Picture:
        name, *rest = table.fields(row)  # a box, always the whole picture, may stand between the name and the votes
        return Picture(path_below(folder, name), label=majority(rest[-len(_VOTES) :]))

    return Rows(range(len(table)), picture, table.path)
