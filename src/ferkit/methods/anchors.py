"""Where on the aligned crop a face moves: the points that local warps drag."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["ANCHORS", "MIRRORED", "anchor_points"]

ANCHORS: dict[str, tuple[float, float]] = {
    "left inner brow": (54.5, 34.5),
    "left outer brow": (35.5, 34.5),
    "left eye": (43.5, 43.5),
    "left cheek": (43.5, 74.0),
    "left mouth corner": (46.9, 89.7),
    "right inner brow": (72.5, 34.5),
    "right outer brow": (91.5, 34.5),
    "right eye": (83.5, 43.5),
    "right cheek": (83.5, 74.0),
    "right mouth corner": (80.1, 89.7),
    "upper lip": (63.5, 84.5),
    "lower lip": (63.5, 96.5),
    "chin": (63.5, 112.0),
}
"""Pixels (x, y) of the 128 px crop on the template "ferkit-128"; left and right as the picture shows them.

Eyes and mouth corners are the template's own points, the others lie where the mean face has them.
"""

MIRRORED = (5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 10, 11, 12)
"""For each anchor, the index of its counterpart on the other side."""


def anchor_points(crop_size: int = 128) -> Tensor:
    """Give all anchors in face coordinates.

    Args:
        crop_size: pixels a side that `ANCHORS` refer to.

    Returns:
        (13, 2) float, x and y in [-1, 1] with -1 and 1 at the crop's outer edges.
    """
    return (torch.tensor(list(ANCHORS.values())) + 0.5) * (2 / crop_size) - 1
