"""Which regions of the face carry a decision: cover them one by one, and see how much of it is lost."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError

PATCH, STRIDE = 1 / 4, 1 / 8
"""Side of a patch, and the way from one to the next, as shares of the crop's side; ferkit defaults."""

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class OcclusionMap:
    """What faces of one class lose where they are covered."""

    # (H, W) mean loss of the true class's probability over the faces and the patches that cover the pixel, in [-1, 1];
    # those with their middle near it weigh more. Below 0 where a region spoke against the class
    drop: Doubles
    probability: float  # mean probability of the true class with nothing covered, in [0, 1]
    faces: int  # how many there are


def occlusion_map(
    probability: Callable[[NDArray[np.uint8]], NDArray[np.floating]],
    crops: NDArray[np.uint8],
    *,
    patch: float = PATCH,
    stride: float = STRIDE,
) -> OcclusionMap:
    """Cover a square patch of all faces, at one place after the other, and average what that costs.

    Occlusion sensitivity (arXiv:1311.2901, section 4.2), over aligned faces of one class. A patch takes the mean colour
    of its own face, so that no light is added that the face does not have.

    Args:
        probability: gives (n,) the probability of their true class for (n, H, W, 3) uint8 RGB crops.
        crops: (n, H, W, 3) uint8 RGB, n at least 1, aligned to one template.
        patch: side of the patch as a share of H, in (0, 1].
        stride: way from one patch to the next as a share of H, in (0, patch]; the borders are always reached.

    Raises:
        InputError: there are no crops, or the shares are out of range.
    """
    if not len(crops):
        raise InputError("there are no faces to cover; give at least one")
    starts, side = _starts(crops.shape[1], patch, stride)
    before = probability(crops)
    colours = crops.mean(axis=(1, 2), keepdims=True).round().astype(np.uint8)
    total, weight = np.zeros(crops.shape[1:3]), np.zeros(crops.shape[1:3])
    # A pyramid: with equal weights the patches' edges would be seen, where the face has none.
    line = np.minimum(np.arange(1, side + 1), np.arange(side, 0, -1))
    pyramid = np.outer(line, line)
    for top in starts:
        for left in starts:
            place = np.s_[top : top + side, left : left + side]
            covered = crops.copy()
            covered[:, *place] = colours
            total[place] += pyramid * float(np.mean(before - probability(covered)))
            weight[place] += pyramid
    return OcclusionMap(total / weight, float(before.mean()), len(crops))


def patch_count(size: int, *, patch: float = PATCH, stride: float = STRIDE) -> int:
    """Return how often `occlusion_map` asks for probabilities of crops of this side, once uncovered included."""
    return len(_starts(size, patch, stride)[0]) ** 2 + 1


def _starts(size: int, patch: float, stride: float) -> tuple[list[int], int]:
    """Return where patches begin along a side, and their side, in pixels."""
    if not 0 < stride <= patch <= 1:
        raise InputError(f"patches of {patch} of a face every {stride} were asked for; give 0 < stride <= patch <= 1")
    side = max(1, round(size * patch))
    places = math.ceil((size - side) / max(1, round(size * stride))) + 1
    return [round(start) for start in np.linspace(0, size - side, places).tolist()], side
