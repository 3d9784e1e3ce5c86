"""FER2013: gray pictures written out as numbers in a csv file (Goodfellow et al., 2013)."""

from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from ferkit.data.expressions import expression_of_code, numbered
from ferkit.data.sources.layouts.folders import first_present, wrong_folder
from ferkit.data.sources.layouts.layout import LazyPictures, Parts, or_unreadable
from ferkit.data.sources.layouts.table import Row, Table
from ferkit.data.sources.picture import Picture
from ferkit.errors import InputError, UnreadableImageError

FER2013_FILES = ("fer2013.csv", "icml_face_data.csv", "fer2013/fer2013.csv")
_USAGES = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}

# CK+ in this form has contempt too.
_CODES = numbered("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "contempt")
_SIDE = 48


class Fer2013Table(Table):
    """``fer2013.csv``, or ``icml_face_data.csv``, which has the columns in another order."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, ("emotion", "pixels", "Usage"), needed=("pixels",))

    def picture(self, row: int) -> Picture:
        """Return the picture of a row, under ``<path>#<row>``; one that cannot be read if the row is damaged."""
        return or_unreadable(self.place(row), lambda: self.face(row, self._label(row)))

    def _label(self, row: int) -> str | None:
        emotion = self[row].get("emotion")  # the competition's test.csv has none
        return None if emotion is None else expression_of_code(emotion, _CODES)

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
    path = first_present(root, FER2013_FILES)
    if path is None:
        raise wrong_folder(root, "FER2013", "fer2013.csv or icml_face_data.csv", "it")
    table = Fer2013Table(path)
    return {split: _pictures(table, rows) for split, rows in rows_by_split(table).items()}


def rows_by_split(table: Table, wanted: Callable[[Row], bool] = lambda row: True) -> dict[str, list[int]]:
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


def _pictures(table: Fer2013Table, rows: list[int]) -> LazyPictures:
    return LazyPictures(len(rows), lambda index: table.picture(rows[index]))


def _pixels(row: Row) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    values = np.array([int(value) for value in row["pixels"].split()])
    if values.size != _SIDE * _SIDE:
        raise ValueError(f"the row has {values.size} pixels instead of {_SIDE} x {_SIDE}")
    if values.min() < 0 or values.max() > 255:
        raise ValueError("the row has pixels outside 0 to 255")
    return values.reshape(_SIDE, _SIDE).astype(np.uint8)
