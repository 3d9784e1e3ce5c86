"""Google's facial expression comparison data set: which of three faces do people call the odd one?

FEC: Vemulapalli and Agarwala, "A Compact Embedding for Facial Expression Similarity", arXiv:1811.11283. Its two tables,
``faceexp-comparison-data-train-public.csv`` and ``...-test-public.csv``, name pictures on the web, which the user
downloads. A row has no header and holds three times (address, left, right, top, bottom of the face as shares of the
picture's width and height), the kind of triplet, and then, for each person who was asked, an id and the number, 1 to 3,
of the face that is not in the most similar pair.
"""

import csv
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from ferkit.data.faces import Face
from ferkit.data.images import image_size
from ferkit.errors import InputError, MissingPathError, UnreadableImageError

FEC_KINDS = ("ONE_CLASS_TRIPLET", "TWO_CLASS_TRIPLET", "THREE_CLASS_TRIPLET")
"""How many coarse classes of expression the three faces were drawn from."""

_SAME_FACE = 0.3
"""Least overlap (IoU) of a detected face with the stated box, as where photos are searched for stated faces."""

_FACE_FIELDS = 5
_FIELDS = 3 * _FACE_FIELDS

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class FecFace:
    """One face: the file of its picture, and left, top, right and bottom as shares of the picture's sides."""

    file: Path
    box: Box


@dataclass(frozen=True, slots=True, eq=False)
class FecTriplets:
    """The triplets whose pictures are here, as `ferkit.evaluation.triplets.odd_one_out` takes them."""

    faces: tuple[FecFace, ...]  # F different faces, in the order of the table
    triplets: NDArray[np.int64]  # (T, 3) numbers of ``faces``
    odd: NDArray[np.int64]  # (T,) 0, 1 or 2: which of the three most people call the odd one
    kinds: tuple[str, ...]  # T of `FEC_KINDS`

    def vectors(self, vectors: NDArray[np.floating], faces: Sequence[Face]) -> NDArray[np.floating]:
        """Return the (F, D) vectors of the triplets' faces; rows of NaN, which count as wrong, where there are none.

        A face is found by its picture's file name and by the largest overlap of the boxes; where a picture was taken as
        a crop, and so has no box, by the name alone.

        Args:
            vectors: (N, D) of an embedding set.
            faces: its N faces; not all of their pictures need be named by the table.
        """
        at: dict[str, list[int]] = {}
        for row, face in enumerate(faces):
            at.setdefault(Path(face.source).name, []).append(row)
        rows = np.array([_best_row(face, at.get(face.file.name, []), faces) for face in self.faces], np.int64)
        found = np.full((len(rows), vectors.shape[1]), np.nan, vectors.dtype)
        found[rows >= 0] = vectors[rows[rows >= 0]]
        return found


def read_fec(table: Path | str, images: Path | str) -> FecTriplets:
    """Read a table of triplets and find its pictures on disk.

    The answer is the face that most people name. Triplets without one, and those of pictures that are not here (many
    have left the web), are left out.

    Args:
        table: one of the data set's two files.
        images: a folder, with folders in it, of downloads that go by the last part of their address.

    Raises:
        MissingPathError: there is no such table or folder.
        InputError: the table is none of this data set's, or no triplet is left.
    """
    table = Path(table)
    if not table.is_file():
        raise MissingPathError(table, "give faceexp-comparison-data-test-public.csv, as Google publishes it")
    files, faces, missing = _files_by_name(Path(images)), dict[FecFace, int](), set[str]()
    taken: list[tuple[list[int], int, str]] = []
    left_out: Counter[str] = Counter()
    for fields in _rows(table):
        try:
            places, kind, votes = _parsed(fields)
        except ValueError:
            left_out["damaged"] += 1
            continue
        found = [(files.get(unquote(urlsplit(address).path).rpartition("/")[2]), box) for address, box in places]
        here = [FecFace(file.absolute(), box) for file, box in found if file]
        (odd, most), *others = votes.most_common()
        if len(here) < len(places):
            left_out["without_picture"] += 1
            missing |= {address for (address, _), (file, _) in zip(places, found, strict=True) if file is None}
        elif others and others[0][1] == most:
            left_out["undecided"] += 1
        else:
            taken.append(([faces.setdefault(face, len(faces)) for face in here], odd - 1, kind))
    if not taken:
        lack = f"{left_out['without_picture']} lack a picture ({len(missing)} are not here)"
        raise InputError(
            f"no triplet of {str(table)!r} can be used: {lack}, {left_out['undecided']} have no majority, "
            f"{left_out['damaged']} rows are not as Google publishes them; give the file as published and the "
            "folder of its downloaded pictures"
        )
    numbers, odds, kinds = zip(*taken, strict=True)
    return FecTriplets(tuple(faces), np.array(numbers, np.int64), np.array(odds, np.int64), kinds)


def _rows(table: Path) -> Iterator[list[str]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            yield from ([field.strip() for field in row] for row in csv.reader(file) if row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{str(table)!r} is no CSV in UTF-8 ({error}); give the file as published") from error


def _parsed(fields: list[str]) -> tuple[list[tuple[str, Box]], str, Counter[int]]:
    """Return three (address, box), the kind, and how many named each face; `ValueError` where that is not there."""
    places = [_place(fields[start : start + _FACE_FIELDS]) for start in range(0, _FIELDS, _FACE_FIELDS)]
    kind, answers = fields[_FIELDS] if len(fields) > _FIELDS else "", fields[_FIELDS + 2 :: 2]
    votes = Counter(int(answer) for answer in answers if answer)
    if kind not in FEC_KINDS or not votes or not set(votes) <= {1, 2, 3}:
        raise ValueError("no kind of triplet, or no answers of 1 to 3")
    return places, kind, votes


def _place(fields: list[str]) -> tuple[str, Box]:
    address, *sides = fields
    left, right, top, bottom = map(float, sides)
    if not (math.isfinite(left + right + top + bottom) and left < right and top < bottom):
        raise ValueError("no box")
    return address, (left, top, right, bottom)


def _files_by_name(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise MissingPathError(folder, "give the folder of the data set's downloaded pictures")
    return {file.name: file for file in sorted(folder.rglob("*"), reverse=True) if file.is_file()}


def _in_pixels(face: FecFace) -> Box:
    width, height = image_size(face.file)
    left, top, right, bottom = face.box
    # The first pixel's centre is 0, and so the picture's border is at -0.5.
    return left * width - 0.5, top * height - 0.5, right * width - 0.5, bottom * height - 0.5


def _best_row(face: FecFace, rows: list[int], faces: Sequence[Face]) -> int:
    if not rows:
        return -1
    boxes = [faces[row].box for row in rows]
    if len(rows) == 1 and boxes[0] is None:
        return rows[0]
    try:
        stated = _in_pixels(face)
    except UnreadableImageError:
        return -1
    overlaps = _overlaps(stated, boxes)
    best = int(overlaps.argmax())
    return rows[best] if overlaps[best] >= _SAME_FACE else -1


def _overlaps(stated: Box, boxes: Sequence[Box | None]) -> NDArray[np.float32]:
    """Return (n,) the overlap (IoU) of each box with the stated one; 0 for none."""
    import torch

    from ferkit.ops.boxes import box_iou

    nowhere = (0.0, 0.0, 0.0, 0.0)
    return np.asarray(box_iou(torch.tensor([stated]), torch.tensor([box or nowhere for box in boxes]))[0].numpy())
