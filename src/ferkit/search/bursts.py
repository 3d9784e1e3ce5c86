"""Bursts: photos of one scene, taken within seconds or looking much the same, and which face of one is the best."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from ferkit.search.folding import connected

_LOOK_SIDE = 16

_SAME_SCENE = 0.97
"""Correlation of two looks from which on photos are near-equal: a steady shot keeps .98 and more over a second, and
portraits of different people in one studio reach .95."""

_LEVEL = 0.02
"""Differences of a share that nobody sees: no reason to prefer a face."""


@dataclass(frozen=True)
class Candidate:
    """What decides between faces."""

    likeness: float  # how much it shows the expression, in [0, 1]
    sharpness: float  # in [0, 1], see `ferkit.faces.quality.sharpness`
    size: float  # shorter side of the box in pixels
    yaw: float | None  # degrees that the head is turned by; None where it is not known
    pitch: float | None  # degrees, likewise

    @property
    def facing(self) -> float:
        """How much the face looks to the camera: the cosine of the angle between; 1 where that is not known."""
        yaw, pitch = (np.radians(angle or 0.0) for angle in (self.yaw, self.pitch))
        return float(np.cos(yaw) * np.cos(pitch))


def photo_look(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Describe an (H, W, 3) RGB photo by a (256,) vector of norm 1: its grays at 16 x 16 pixels, about their mean."""
    small = cv2.resize(image, (_LOOK_SIDE, _LOOK_SIDE), interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float64).ravel()
    gray -= gray.mean()
    look: NDArray[np.float64] = gray / max(float(np.linalg.norm(gray)), 1e-9)
    return look


def find_bursts(
    times: Sequence[float | None], looks: Sequence[NDArray[np.float64]], seconds: float = 3.0
) -> list[list[int]]:
    """Part photos into bursts.

    Neighbours by the time that they were taken are of one burst where no more than ``seconds`` lie between; neighbours
    in the order of their files where they look much the same.

    Args:
        times: when each was taken, in seconds; None where it is not known.
        looks: `photo_look` of each, in the order of their files.
        seconds: between two photos of a burst.

    Returns:
        The bursts, each in the order of the files, by their first photos.
    """
    dated = sorted((time, photo) for photo, time in enumerate(times) if time is not None)
    pairs = [(a, b) for (before, a), (after, b) in pairwise(dated) if after - before <= seconds]
    pairs += [(a, b) for a, b in pairwise(range(len(looks))) if float(looks[a] @ looks[b]) >= _SAME_SCENE]
    return connected(len(times), pairs)


def worth(faces: Sequence[Candidate]) -> NDArray[np.float64]:
    """Weigh the faces of one burst against each other: ferkit default.

    Returns:
        (n,) in [0, 1]: likeness, times sharpness as a share of the sharpest one's, times the root of the size as a
        share of the largest one's, times how much the face looks to the camera.
    """
    sharp, size = (np.array([getattr(face, name) for face in faces], np.float64) for name in ("sharpness", "size"))
    likeness, facing = (np.array([getattr(face, name) for face in faces]) for name in ("likeness", "facing"))
    product: NDArray[np.float64] = likeness * _shares(sharp) * np.sqrt(_shares(size)) * facing.clip(min=0)
    return product


def reasons(faces: Sequence[Candidate], chosen: int) -> list[str]:
    """Say in what one face is ahead of the others of its burst, and in what it is behind; nothing for a face alone."""
    if len(faces) < 2:
        return []
    said = []
    for name, best, worst in (
        ("likeness", "most alike", "less alike"),
        ("sharpness", "sharpest", "less sharp"),
        ("size", "largest", "smaller"),
        ("facing", "straight to the camera", "turned further"),
    ):
        values = _shares(np.array([getattr(face, name) for face in faces], np.float64))
        others = np.delete(values, chosen)
        if values[chosen] > others.max() + _LEVEL:
            said.append(best)
        elif values[chosen] < others.max() - _LEVEL:
            said.append(worst)
    return said


def _shares(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values / max(float(values.max()), 1e-9)
