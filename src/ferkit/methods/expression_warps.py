"""A few expressions drawn by hand as local warps, for the demo: they bend a portrait, they do not act.

Each is a handful of pushes at the anchors of the aligned crop. Compare Ekman and Friesen's action units (Facial Action
Coding System, 1978): a smile pulls the mouth's corners out and up (AU 12), sadness lowers them (AU 15) and raises the
inner brows (AU 1), surprise raises both brows (AU 1+2) and drops the jaw (AU 26), a frown draws the brows together and
down (AU 4). A warp of skin shows no teeth and makes no wrinkle.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ferkit.methods.anchors import ANCHORS
from ferkit.ops.displacements import bump_displacement
from ferkit.ops.grids import sample

_CROP = 128


class Push(NamedTuple):
    """Drag the skin at an anchor by ``shift`` (x, y) px; nothing moves beyond ``radius`` px, on the 128 px crop."""

    anchor: str
    shift: tuple[float, float]
    radius: float


EXPRESSIONS: dict[str, tuple[Push, ...]] = {
    "smile": (Push("left mouth corner", (-4, -6), 20), Push("right mouth corner", (4, -6), 20)),
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
    "open mouth": (Push("upper lip", (0, -2), 12), Push("lower lip", (0, 8), 22)),
    "pursed lips": (Push("left mouth corner", (6, 0), 18), Push("right mouth corner", (-6, 0), 18)),
}
"""Expressions by name; every one is symmetric and folds nothing."""


def with_expression(
    image: NDArray[np.uint8], expression: str, *, strength: float = 1.0, to_crop: NDArray[np.float64] | None = None
) -> NDArray[np.uint8]:
    """Bend a face into an expression.

    Args:
        image: (H, W, 3) uint8 RGB.
        expression: a name of `EXPRESSIONS`.
        strength: how far, 0 leaving the face as it is.
        to_crop: (2, 3) matrix that carries pixels (x, y) of the image onto the crop "ferkit-128"; None: it is the crop.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    height, width = image.shape[:2]
    matrix = torch.eye(2, 3, dtype=torch.float64) if to_crop is None else torch.from_numpy(to_crop)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    pixels = torch.stack([columns, rows], -1)[None].double()
    half = _CROP / 2
    points = (pixels @ matrix[:, :2].T + matrix[:, 2] + 0.5) / half - 1
    shifts = push_displacement(EXPRESSIONS[expression], points.float()).double() * half @ matrix[:, :2].inverse().T
    grid = (pixels - strength * shifts + 0.5) * 2 / torch.tensor([width, height]) - 1
    bent = sample(torch.from_numpy(image).permute(2, 0, 1)[None].float(), grid.float())[0].permute(1, 2, 0)
    return bent.round().clamp(0, 255).byte().numpy()


def push_displacement(pushes: Sequence[Push], points: Tensor) -> Tensor:
    """How far pushes move the skin at (1, ..., 2) points, in face coordinates."""
    half = _CROP / 2
    pixels = torch.tensor([[ANCHORS[push.anchor] for push in pushes]])
    shifts = torch.tensor([[push.shift for push in pushes]], dtype=torch.float32)
    radii = torch.tensor([[push.radius for push in pushes]], dtype=torch.float32)
    return bump_displacement(points, (pixels + 0.5) / half - 1, shifts / half, radii / half)
