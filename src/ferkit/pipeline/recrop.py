"""The pictures behind vectors: cut the face of any row of an embedding set again."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.face_set import FaceSet, is_face_set
from ferkit.data.faces import Face, crop_sha256
from ferkit.data.media import is_video
from ferkit.data.sources import Picture, find_picture
from ferkit.data.sources.video import Frame, frames_at
from ferkit.errors import InputError, SetError
from ferkit.pipeline.decoding import cut_scales, read_crop, search_scale, square_crop

Pixels = NDArray[np.uint8]


class Lost(StrEnum):
    """Why the crop that a vector was made of cannot be shown."""

    MISSING = "picture not found"
    CHANGED = "changed since"


def row_crops(embeddings: EmbeddingSet, rows: Sequence[int]) -> list[Pixels | Lost]:
    """Return the crops that vectors were made of.

    They come from the face set where the set was made of one and it still holds the same faces, else from the pictures
    themselves; frames of a video are sought by their times. A crop of other pixels than were embedded is never shown.

    Args:
        embeddings: an opened embedding set.
        rows: which of its rows, in any order.

    Returns:
        One (128, 128, 3) uint8 RGB crop per row, or why there is none.
    """
    faces = dict(zip(rows, (embeddings.face(row) for row in rows), strict=True))
    face_set = _face_set(embeddings)
    crops: dict[int, Pixels | Lost] = {}
    if face_set is not None:
        stored = {row: _crop_of_set(face, row, face_set) for row, face in faces.items()}
        crops |= {row: crop for row, crop in stored.items() if crop is not None}
    left = {row: face for row, face in faces.items() if row not in crops}
    crops |= _crops_of_videos(left)
    crops |= {row: _crop_of_picture(face) for row, face in left.items() if row not in crops}
    return [crops[row] for row in rows]


def _crops_of_videos(faces: Mapping[int, Face]) -> dict[int, Pixels | Lost]:
    """The crops of rows that are frames of videos; those whose frame cannot be read again are left out."""
    videos: dict[str, dict[int, list[int]]] = {}
    for row, face in faces.items():
        path, _, number = face.source.rpartition("#")
        if number.isdecimal() and not Path(face.source).exists() and is_video(path):
            videos.setdefault(path, {}).setdefault(int(number), []).append(row)
    crops: dict[int, Pixels | Lost] = {}
    for path, rows in videos.items():
        times = {number: faces[same[0]].time_s or 0.0 for number, same in rows.items()}
        for seek in (True, False):
            for frame in frames_at(Path(path), times, seek=seek):
                crops |= {row: _same(_cut_frame(frame, faces[row]), faces[row]) for row in rows[frame.number]}
            # A jump may have led to a picture that is not quite the same: what is decoded in order is.
            times = {number: at for number, at in times.items() if crops.get(rows[number][0]) is Lost.CHANGED}
            if not times:
                break
    return crops


def _cut_frame(frame: Frame, face: Face) -> Pixels:
    from ferkit.faces.align import align_faces

    if face.landmarks is None:
        return square_crop(frame.image, face.source)[0]
    crop: Pixels = align_faces(frame.image, np.array(face.landmarks).reshape(1, 5, 2))[0]
    return crop


def _crop_of_picture(face: Face) -> Pixels | Lost:
    """Read a face's picture again and cut the face out by the landmarks that were found then."""
    try:
        return _same(_cut(find_picture(face.source), face), face)
    except InputError:
        return Lost.MISSING


def _same(crop: Pixels, face: Face) -> Pixels | Lost:
    return crop if crop_sha256(crop) == face.sha256 else Lost.CHANGED


def _cut(picture: Picture, face: Face) -> Pixels:
    """Cut a face out of the picture as it was decoded then: which of the scales that was, its pixels say."""
    from ferkit.faces.align import align_faces

    if face.landmarks is None:
        return read_crop(picture)[0]
    landmarks = np.array(face.landmarks).reshape(1, 5, 2)
    most = int(cut_scales(landmarks)[0])
    tried: dict[int, Pixels] = {}
    for limit in (None, 8, 4, 2, 1):
        image, scale = picture.read_scaled(scale=partial(_cut_scale, most=most, limit=limit))
        if scale not in tried:
            tried[scale] = align_faces(image, (landmarks + 0.5) / scale - 0.5)[0]
            if crop_sha256(tried[scale]) == face.sha256:
                return tried[scale]
    return next(iter(tried.values()))


def _cut_scale(size: tuple[int, int], most: int, limit: int | None) -> int:
    return min(most, limit or search_scale(size))


def _face_set(embeddings: EmbeddingSet) -> FaceSet | None:
    if embeddings.faces is None or not is_face_set(Path(embeddings.faces)):
        return None
    try:
        return FaceSet.open(embeddings.faces)
    except SetError:  # the pictures may still be there
        return None


def _crop_of_set(face: Face, row: int, face_set: FaceSet) -> Pixels | None:
    """Take the crop from the same row; from another where the vectors are of a part of the set, or it was made anew."""
    rows = [row] if row < len(face_set) and face_set.face(row).sha256 == face.sha256 else []
    rows = rows or np.flatnonzero(pc.equal(face_set.column("sha256"), face.sha256).to_numpy())[:1].tolist()
    crops: Pixels = face_set.crops(rows)
    return next((crop for crop in crops if crop_sha256(crop) == face.sha256), None)
