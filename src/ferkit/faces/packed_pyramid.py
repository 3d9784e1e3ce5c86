"""One canvas that holds every pyramid level of every image of a batch, so that P-Net runs over all of them at once.

Photos of different sizes need no padding and no grouping: levels lie side by side like prints on a contact sheet. A
window of the network that straddles two levels belongs to none, and ``owner`` says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ferkit.faces.networks import MID_GRAY
from ferkit.faces.packing import pack

Pixels = NDArray[np.uint8]

CELL = 12
"""Side of P-Net's window, in pixels of a level."""

STRIDE = 2
"""Distance between neighbouring windows; levels start and end on multiples of it."""

_MARGIN = 2
"""Gray pixels around each level, so that a face that the border cuts, or that fills the image, still fits a window."""

_GRAY = round(MID_GRAY)


@dataclass(frozen=True)
class Level:
    """One image at one scale: where its pixels come from and how large it is, without and with its margin."""

    image: int
    source: Pixels
    halved: int
    width: int
    height: int

    @property
    def outer_width(self) -> int:
        """Width with the margin on both sides."""
        return self.width + 2 * _MARGIN

    @property
    def outer_height(self) -> int:
        """Height with the margin on both sides."""
        return self.height + 2 * _MARGIN

    @property
    def step(self) -> tuple[float, float]:
        """Pixels of the full-size image to one pixel of the level, in x and y."""
        height, width = self.source.shape[:2]
        return (width << self.halved) / self.width, (height << self.halved) / self.height

    def draw(self, canvas: Pixels) -> None:
        """Resample the source onto a canvas of the level's outer size."""
        inside = canvas[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
        cv2.resize(self.source, (self.width, self.height), dst=inside, interpolation=cv2.INTER_AREA)


@dataclass(frozen=True)
class Atlas:
    """The canvas and what lies where."""

    pixels: Tensor  # (H, W, 3) uint8, H and W even
    owner: Tensor  # (H/2, W/2) int32, the level that the window starting at (2x, 2y) lies in, -1 for none
    origin: Tensor  # (L, 2) float32, left and top of each level's first pixel on the canvas
    step: Tensor  # (L, 2) float32, pixels of the full-size image to one of the level, in x and y
    image: Tensor  # (L,) int64, the image that each level shows

    @classmethod
    def of(
        cls, stacks: Sequence[Sequence[Pixels]], min_face: Sequence[float], factor: float, device: torch.device
    ) -> Atlas:
        """Draw the levels of images given as halvings.

        Args:
            stacks: the images' halvings, full size first.
            min_face: side of the smallest wanted face, in pixels and at least ``CELL``, one an image.
            factor: scale from one level to the next, between 0 and 1.
            device: where the canvas goes.
        """
        levels = [level for i, stack in enumerate(stacks) for level in _levels(i, stack, CELL / min_face[i], factor)]
        places, (width, height) = pack([(level.outer_width, level.outer_height) for level in levels])
        pixels = np.full((height, width, 3), _GRAY, np.uint8)
        owner = np.full((height // STRIDE, width // STRIDE), -1, np.int32)
        for number, (level, (x, y)) in enumerate(zip(levels, places, strict=True)):
            end_x, end_y = x + level.outer_width, y + level.outer_height
            level.draw(pixels[y:end_y, x:end_x])
            owner[_starts(y, end_y), _starts(x, end_x)] = number
        return cls(
            pixels=torch.from_numpy(pixels).to(device),
            owner=torch.from_numpy(owner).to(device),
            origin=torch.tensor(places, dtype=torch.float32, device=device).view(-1, 2) + _MARGIN,
            step=torch.tensor([level.step for level in levels], dtype=torch.float32, device=device).view(-1, 2),
            image=torch.tensor([level.image for level in levels], dtype=torch.int64, device=device),
        )


def _starts(low: int, high: int) -> slice:
    """Where, on the grid of windows, those that lie within [low, high) start."""
    return slice(low // STRIDE, (high - CELL) // STRIDE + 1)


def _levels(image: int, stack: Sequence[Pixels], scale: float, factor: float) -> Iterator[Level]:
    """Levels from the one that shows the smallest face at 12 px down to the one that a window just fits in."""
    height, width = stack[0].shape[:2]
    while min(height, width) * scale >= CELL - 2 * _MARGIN:
        size = [STRIDE * round(side * scale / STRIDE) for side in (height, width)]
        halved = max((k for k, copy in enumerate(stack) if np.greater_equal(copy.shape[:2], size).all()), default=0)
        yield Level(image, stack[halved], halved, width=size[1], height=size[0])
        scale *= factor
