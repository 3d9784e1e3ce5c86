"""Hits that are one face: copies of a photo, frames of a clip, shots of a burst; and hits that are one person."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ferkit.data.faces import Face

Pixels = NDArray[np.uint8]
CropsOf = Callable[[list[int]], list[Pixels | None]]
Ids = NDArray[np.int64]
Scores = TypeVar("Scores")

_SAME_POINT = 0.1
"""Pixels; far more than rounding moves a landmark, far less than any two photos agree on all five."""

_NEAR = 0.95
"""Cosine of vectors from which on crops are compared."""

_SAME_SHAPE = 0.05
"""Distance of landmarks, brought to one place, size and turn, up to which crops are compared. Nine in ten copies are
nearer, and of frames a quarter of a second apart; of strangers whose vectors are near, 4 %. Others stay unread."""

_MOST_COMPARED = 64
"""Of the best faces, so many crops are compared at most: pictures are read for it."""

_EQUAL = 0.95
"""Correlation of small gray crops from which on they are near-equal. Of 18.7 million pairs of two people's faces (LFW)
7 pass both; of copies of photos in half the size, cut and compressed, nine in ten."""

_SIDE = 32


def is_copy(face: Face, other: Face) -> bool:
    """Say whether two faces are one, or copies, by their place, their pixels or their landmarks.

    A copy of a photo need not give the same crop: rounding differs with the photos that are searched together.
    """
    if (face.source, face.face) == (other.source, other.face) or face.sha256 == other.sha256:
        return True
    if face.landmarks is None or other.landmarks is None:
        return False
    return bool(np.abs(np.subtract(face.landmarks, other.landmarks)).max() < _SAME_POINT)


def fold_copies(
    faces: Sequence[Face], vectors: NDArray[np.floating[Any]], crops_of: CropsOf | None = None
) -> list[list[int]]:
    """Put faces together that are frames of one clip, copies, or near-equal.

    Args:
        faces: n, best first.
        vectors: (n, D) of length 1.
        crops_of: gives the crops of some of them, None where one is gone; asked for faces alone that are near one
            another. None compares no crops.

    Returns:
        The groups by their best face, as places in ``faces``, ascending.
    """
    first: dict[tuple[str, object], int] = {}
    pairs: list[tuple[int, int]] = []
    for place, face in enumerate(faces):
        points = None if face.landmarks is None else tuple(np.round(face.landmarks).tolist())
        for key in (("clip", face.clip), ("sha256", face.sha256), ("landmarks", points)):
            if key[1] is not None:
                earlier = first.setdefault(key, place)
                if key[0] != "landmarks" or is_copy(face, faces[earlier]):
                    pairs.append((place, earlier))
    if crops_of is not None:
        together = {place: number for number, group in enumerate(connected(len(faces), pairs)) for place in group}
        pairs += _near_equal_pairs(faces, vectors, crops_of, together)
    return connected(len(faces), pairs)


def connected(count: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Put the numbers below ``count`` together that pairs connect: groups by their first number, each ascending."""
    parent = list(range(count))

    def root(number: int) -> int:
        while parent[number] != number:
            number = parent[number]
        return number

    for pair in pairs:
        low, high = sorted(map(root, pair))
        parent[high] = low
    groups: dict[int, list[int]] = {}
    for number in range(count):
        groups.setdefault(root(number), []).append(number)
    return list(groups.values())


def group_faces(
    faces: Sequence[Face],
    vectors: NDArray[np.floating[Any]],
    *,
    fold: bool,
    once: bool,
    crops_of: CropsOf | None = None,
) -> list[list[int]]:
    """Put faces together that one hit stands for.

    Args:
        faces: n, best first.
        vectors: (n, D) of length 1.
        fold: put frames and copies together, see `fold_copies`.
        once: keep of each person the best group alone.
        crops_of: as of `fold_copies`.

    Returns:
        The groups by their best face, as places in ``faces``, ascending.
    """
    groups = fold_copies(faces, vectors, crops_of) if fold else [[place] for place in range(len(faces))]
    return one_per_person(groups, faces) if once else groups


def widened(
    nearest: Callable[[int], tuple[Scores, Ids]], group: Callable[[Ids], list[list[int]]], wanted: int, width: int
) -> tuple[Scores, Ids, list[list[int]]]:
    """Ask for more and more faces until so many groups of them stand, or there are no more.

    Args:
        nearest: gives the scores and rows of so many faces, best first.
        group: given their rows, puts their places together.
        wanted: how many groups.
        width: how many faces are asked for first.

    Returns:
        What came back at last, and its groups, which may be more.
    """
    while True:
        scores, rows = nearest(width)
        groups = group(rows)
        if len(groups) >= wanted or len(rows) < width:
            return scores, rows, groups
        width *= 4


def near_equal(crops: Sequence[Pixels]) -> NDArray[np.bool_]:
    """Return the (n, n) table of which (H, H, 3) RGB crops of faces are near-equal: small gray ones correlate."""
    small = np.stack([_small_gray(crop) for crop in crops]).reshape(len(crops), -1)
    small -= small.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(small, axis=1)
    return np.asarray(small @ small.T > _EQUAL * np.outer(lengths, lengths))


def near_copies(
    face: Face,
    vector: NDArray[np.floating[Any]],
    crop: Pixels,
    faces: Sequence[Face],
    vectors: NDArray[np.floating[Any]],
    crops_of: CropsOf,
) -> list[int]:
    """Return the places in ``faces`` of those that are near-equal to one face: resized or compressed copies of it.

    Args:
        face: the one.
        vector: (D,) of length 1.
        crop: (H, H, 3) RGB.
        faces: n, best first.
        vectors: (n, D) of length 1.
        crops_of: as of `fold_copies`.
    """
    faces, vectors = faces[:_MOST_COMPARED], vectors[:_MOST_COMPARED]
    near = np.flatnonzero((vectors @ vector > _NEAR) & _same_shape([face, *faces])[0, 1:]).tolist()
    crops = zip(near, crops_of(near), strict=True)
    return [place for place, other in crops if other is not None and near_equal([crop, other])[0, 1]]


def one_per_person(groups: Sequence[list[int]], faces: Sequence[Face]) -> list[list[int]]:
    """Keep the first group of each person, by identity, else by clip; a face without either is somebody of its own."""
    kept, seen = [], set()
    for group in groups:
        face = faces[group[0]]
        person = face.identity or face.clip
        if person is None or person not in seen:
            kept.append(group)
            seen.add(person)
    return kept


def _near_equal_pairs(
    faces: Sequence[Face], vectors: NDArray[np.floating[Any]], crops_of: CropsOf, together: Mapping[int, int]
) -> list[tuple[int, int]]:
    """Pairs of near-equal faces that are not together yet, by the numbers of their groups."""
    faces, vectors = faces[:_MOST_COMPARED], vectors[:_MOST_COMPARED]
    near = np.triu((vectors @ vectors.T > _NEAR) & _same_shape(faces), k=1)
    pairs = [(a, b) for a, b in np.argwhere(near).tolist() if together[a] != together[b]]
    places = sorted({place for pair in pairs for place in pair})
    crops = {place: crop for place, crop in zip(places, crops_of(places), strict=True) if crop is not None}
    if not crops:
        return []
    number = {place: position for position, place in enumerate(crops)}
    equal = near_equal(list(crops.values()))
    return [(a, b) for a, b in pairs if a in number and b in number and equal[number[a], number[b]]]


def _same_shape(faces: Sequence[Face]) -> NDArray[np.bool_]:
    """Return the (n, n) table of faces whose landmarks are alike, or not known."""
    known = np.array([face.landmarks is not None for face in faces], np.bool_)
    points = np.array([face.landmarks or [0.0] * 10 for face in faces], np.float64).reshape(len(faces), 5, 2)
    # As complex numbers, size and turn are one factor: what is left of it is the shape.
    shapes = points[..., 0] + 1j * points[..., 1]
    shapes -= shapes.mean(axis=1, keepdims=True)
    shapes /= np.maximum(np.linalg.norm(shapes, axis=1, keepdims=True), 1e-12)
    distances = np.sqrt(np.maximum(2 - 2 * np.abs(shapes @ shapes.conj().T), 0))
    return np.asarray((distances < _SAME_SHAPE) | ~np.outer(known, known))


def _small_gray(crop: Pixels) -> NDArray[np.float64]:
    """The middle of a crop, where the face is, as (32, 32) gray: means of squares."""
    margin = len(crop) // 16
    gray = crop[margin : len(crop) - margin, margin : len(crop) - margin].mean(axis=2)
    edges = np.linspace(0, len(gray), _SIDE + 1).astype(np.int64)
    sums = np.add.reduceat(np.add.reduceat(gray, edges[:-1], axis=0), edges[:-1], axis=1)
    sides = np.diff(edges).astype(np.float64)
    return np.asarray(sums / np.outer(sides, sides))
