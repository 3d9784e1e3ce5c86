"""A few expressions drawn by hand as local warps, for the demo: they bend a portrait, they do not act.

Each is a handful of pushes at the anchors of the aligned crop. Compare Ekman and Friesen's action units (Facial Action
Coding System, 1978): a smile pulls the mouth's corners out and up (AU 12), sadness lowers them (AU 15) and raises the
inner brows (AU 1), surprise raises both brows (AU 1+2) and drops the jaw (AU 26), a frown draws the brows together and
down (AU 4). A warp of skin shows no teeth and makes no wrinkle.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ferkit.methods.anchors import ANCHORS
from ferkit.ops.displacements import bump_displacement
from ferkit.ops.grids import sample, sampling_grid

_CROP = 128


class Push(NamedTuple):
    """Drag the skin at an anchor by ``shift`` (x, y) px; nothing moves beyond ``radius`` px, on the 128 px crop."""

    anchor: str
    shift: tuple[float, float]
    radius: float


EXPRESSIONS: dict[str, tuple[Push, ...]] = {
    "smile": (
        Push("left mouth corner", (-4, -6), 20),
        Push("right mouth corner", (4, -6), 20),
    ),
    "sadness": (
        Push("left mouth corner", (0, 6), 18),
        Push("right mouth corner", (0, 6), 18),
        Push("left inner brow", (1, -4), 13),
        Push("right inner brow", (-1, -4), 13),
    ),
    "surprise": (
        Push("left outer brow", (2, -4), 13),
        Push("left inner brow", (-2, -4), 13),
        Push("right inner brow", (2, -4), 13),
        Push("right outer brow", (-2, -4), 13),
        Push("lower lip", (0, 6), 20),
    ),
    "frown": (
        Push("left inner brow", (4, 5), 16),
        Push("right inner brow", (-4, 5), 16),
        Push("lower lip", (0, -3), 16),
    ),
    "open mouth": (
        Push("upper lip", (0, -2), 12),
        Push("lower lip", (0, 8), 22),
    ),
    "pursed lips": (
        Push("left mouth corner", (6, 0), 18),
        Push("right mouth corner", (-6, 0), 18),
    ),
}
"""Expressions by name; every one is symmetric and folds nothing."""


def expression_grid(expression: str) -> Tensor:
    """Lay out where each pixel of the crop with the expression takes its colour from.

    Args:
        expression: a name of `EXPRESSIONS`.

    Returns:
        (1, 128, 128, 2) face coordinates, exact at every pixel.
    """
    pushes = EXPRESSIONS[expression]
    pixels = torch.tensor([[ANCHORS[push.anchor] for push in pushes]])
    shifts = torch.tensor([[push.shift for push in pushes]], dtype=torch.float32)
    radii = torch.tensor([[push.radius for push in pushes]])
    half = _CROP / 2
    identity = sampling_grid(torch.eye(2, 3)[None], _CROP)
    return identity - bump_displacement(identity, (pixels + 0.5) / half - 1, shifts / half, radii / half)


def with_expression(crop: NDArray[np.uint8], expression: str) -> NDArray[np.uint8]:
    """Bend an aligned crop into an expression.

    Args:
        crop: (128, 128, 3) uint8 RGB on the template "ferkit-128".
        expression: a name of `EXPRESSIONS`.

    Returns:
        (128, 128, 3) uint8 RGB.
    """
    image = torch.from_numpy(crop).permute(2, 0, 1)[None].float()
    bent = sample(image, expression_grid(expression))[0].permute(1, 2, 0)
    return bent.round().clamp(0, 255).byte().numpy()
