"""Which of the faces of an image are taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.faces.detect import Detections

__all__ = ["FACES_POLICIES", "check_policy", "choose"]

Rows = NDArray[np.int64]


def choose(found: Detections, size: tuple[int, int], which: str) -> Rows:
    """Return the rows of the faces that a policy takes.

    Args:
        found: the faces of one image.
        size: its width and height in pixels.
        which: ``all``; ``largest``, the box of the largest area; or ``center``, the box with the largest
            area - 2 d^2, d being the distance in pixels from the middle of the box to that of the image
            (``center_weighted_size`` of facenet-pytorch).

    Returns:
        (k,) row numbers, rising; empty only where there is no face.

    Raises:
        InputError: the policy does not exist.
    """
    check_policy(which)
    return _POLICIES[which](found.boxes.astype(np.float64), np.array(size)) if len(found) else np.arange(0)


def check_policy(which: str) -> None:
    """Refuse a policy that does not exist with `InputError`."""
    if which not in _POLICIES:
        raise InputError(f"which faces to take is one of {', '.join(_POLICIES)}, not {which!r}")


def _all(boxes: NDArray[np.float64], size: NDArray[np.int64]) -> Rows:
    return np.arange(len(boxes))


def _largest(boxes: NDArray[np.float64], size: NDArray[np.int64]) -> Rows:
    return np.array([_area(boxes).argmax()])


def _center(boxes: NDArray[np.float64], size: NDArray[np.int64]) -> Rows:
    offset = (boxes[:, :2] + boxes[:, 2:]) / 2 - (size - 1) / 2
    return np.array([(_area(boxes) - 2 * (offset**2).sum(axis=1)).argmax()])


def _area(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    area: NDArray[np.float64] = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return area


_POLICIES: Mapping[str, Callable[[NDArray[np.float64], NDArray[np.int64]], Rows]] = {
    "all": _all,
    "largest": _largest,
    "center": _center,
}
FACES_POLICIES = tuple(_POLICIES)
