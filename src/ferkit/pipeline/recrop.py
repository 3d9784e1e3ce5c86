"""The pictures behind vectors: cut the face of any row of an embedding set again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.face_set import FaceSet, is_face_set
from ferkit.data.faces import Face, crop_sha256
from ferkit.data.sources import find_picture
from ferkit.errors import InputError, SetError
from ferkit.pipeline.decoding import read_crop, read_photo
from ferkit.pipeline.face_options import FaceOptions

__all__ = ["crop_from_source", "row_crops"]

Pixels = NDArray[np.uint8]


def row_crops(embeddings: EmbeddingSet, rows: Sequence[int]) -> list[Pixels | None]:
    """Return the crops that vectors were made of.

    They come from the face set where the set was made of one and it still holds the same faces, else from the pictures
    themselves.

    Args:
        embeddings: an opened embedding set.
        rows: which of its rows, in any order.

    Returns:
        One (128, 128, 3) uint8 RGB crop per row; None where neither is there any more.
    """
    faces = [embeddings.face(row) for row in rows]
    face_set = _face_set(embeddings)
    return [_crop(face, row, face_set) for face, row in zip(faces, rows, strict=True)]


def crop_from_source(face: Face) -> Pixels:
    """Read a face's picture again and cut the face out by the landmarks that were found then.

    Returns:
        (128, 128, 3) uint8 RGB.

    Raises:
        InputError: the picture is missing or cannot be read.
    """
    from ferkit.faces.align import align_faces

    picture = find_picture(face.source)
    if face.landmarks is None:
        return read_crop(picture)[0]
    image, scale = read_photo(picture, min_face=FaceOptions.min_face)
    points = (np.array(face.landmarks).reshape(1, 5, 2) + 0.5) / scale - 0.5
    cut: Pixels = align_faces(image, points)[0]
    return cut


def _face_set(embeddings: EmbeddingSet) -> FaceSet | None:
    if embeddings.faces is None or not is_face_set(Path(embeddings.faces)):
        return None
    try:
        return FaceSet.open(embeddings.faces)
    except SetError:  # the pictures may still be there
        return None


def _crop(face: Face, row: int, face_set: FaceSet | None) -> Pixels | None:
    crop = None if face_set is None else _crop_of_set(face, row, face_set)
    if crop is not None:
        return crop
    try:
        return crop_from_source(face)
    except InputError:
        return None


def _crop_of_set(face: Face, row: int, face_set: FaceSet) -> Pixels | None:
    """Take the crop from the same row; from another where the vectors are of a part of the set, or it was made anew."""
    rows = [row] if row < len(face_set) and face_set.face(row).sha256 == face.sha256 else []
    rows = rows or np.flatnonzero(pc.equal(face_set.column("sha256"), face.sha256).to_numpy())[:1].tolist()
    crops: Pixels = face_set.crops(rows)
    return next((crop for crop in crops if crop_sha256(crop) == face.sha256), None)
