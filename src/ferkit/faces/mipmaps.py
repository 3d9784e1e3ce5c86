"""Halved copies of images, and square patches averaged out of them for many boxes at once.

Coordinates are continuous: the first pixel covers 0 to 1.
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

__all__ = ["Mipmaps", "halvings", "patches_of_alike_boxes"]

Pixels = NDArray[np.uint8]

_COARSEST = 48
"""A copy with no side above this is not halved again: no patch needs less."""


@dataclass(frozen=True)
class Mipmaps:
    """All halvings of a batch of images, laid end to end.

    Attributes:
        pixels: (P, 3) uint8, the copies' rows one after the other.
        start: (C,) int64, the row of ``pixels`` at which each of the C copies begins.
        size: (C, 2) int64, width and height of each copy.
        first: (B,) int64, the full-size copy of each image; its halvings follow.
        depth: (B,) int64, number of halvings of each image.
    """

    pixels: Tensor
    start: Tensor
    size: Tensor
    first: Tensor
    depth: Tensor

    @classmethod
    def of(cls, stacks: Sequence[Sequence[Pixels]], device: torch.device) -> Mipmaps:
        """Pack the images' halvings, as ``halvings`` returns them, and send them to the device."""
        copies = [copy for stack in stacks for copy in stack]
        size = torch.tensor([copy.shape[1::-1] for copy in copies])
        area, length = size.prod(dim=1), torch.tensor([len(stack) for stack in stacks])
        return cls(
            pixels=torch.from_numpy(np.concatenate([copy.reshape(-1, 3) for copy in copies])).to(device),
            start=(area.cumsum(0) - area).to(device),
            size=size.to(device),
            first=(length.cumsum(0) - length).to(device),
            depth=(length - 1).to(device),
        )


def halvings(image: Pixels) -> list[Pixels]:
    """The image and its copies at 1/2, 1/4, ... by 2x2 averages; an odd last row or column is left out of the next.

    Args:
        image: (H, W, 3) uint8, H and W at least 1.

    Returns:
        Copies of falling size; the first is the image itself.
    """
    copies = [image]
    while max(image.shape[:2]) > _COARSEST and min(image.shape[:2]) > 1:
        height, width = image.shape[0] // 2, image.shape[1] // 2
        image = cv2.resize(image[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
        copies.append(image)
    return copies


def patches_of_alike_boxes(
    mipmaps: Mipmaps, image: Tensor, boxes: Tensor, side: int, at_once: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Cut the square patch under each box, averaged to ``side`` x ``side`` pixels; outside the image is mid-gray.

    Each box is cut from the smallest copy that still has ``side`` pixels across it. Boxes of like size in their copies
    go together, so that the window read around each of them is hardly larger than the box.

    Args:
        mipmaps: the images.
        image: (N,) int64, the image that each box lies in.
        boxes: (N, 4) float32 squares (x0, y0, x1, y1) in continuous pixels of the full-size image.
        side: pixels a side of the patch.
        at_once: boxes to a chunk.

    Yields:
        (n,) int64 rows of ``boxes`` and their (n, 3, side, side) float32 patches minus MID_GRAY, channels-last in
        memory.
    """
    width = boxes[:, 2] - boxes[:, 0]
    halved = (width / side).log2().floor().long().clamp(min=0).minimum(mipmaps.depth[image])
    copy, zoom = mipmaps.first[image] + halved, torch.exp2(-halved)
    for rows in torch.split((width * zoom).argsort(), at_once):
        yield rows, _cut(mipmaps, copy[rows], boxes[rows] * zoom[rows, None], side)


def _cut(mipmaps: Mipmaps, copy: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Patches of boxes given in pixels of their copies.

    A patch is two small matrix products A_y crop A_x^T, where row i of A holds the share of output pixel i that each
    input pixel covers: area interpolation, as in training, exact at fractional positions.
    """
    if not len(boxes):
        return boxes.new_empty(0, 3, side, side)
    low, size = boxes[:, :2], boxes[:, 2:] - boxes[:, :2]
    limit = mipmaps.size[copy]
    origin = low.floor().long().clamp(min=0).minimum(limit - 1)
    offset = torch.arange(int(size.max().ceil()) + 1, device=boxes.device)
    crops = _gather(mipmaps.pixels, mipmaps.start[copy], limit, origin[:, None] + offset[:, None])
    share = _covered(low, size / side, origin, limit, offset, side)
    return _resample(crops, share[:, 0], share[:, 1])


def _gather(pixels: Tensor, start: Tensor, limit: Tensor, at: Tensor) -> Tensor:
    """The (N, K, K, 3) windows, minus MID_GRAY, whose columns and rows are ``at`` (N, K, 2), held inside the copy."""
    at = at.minimum(limit[:, None] - 1)
    index = (start[:, None] + at[..., 1] * limit[:, :1])[:, :, None] + at[:, None, :, 0]
    return pixels.index_select(0, index.flatten()).view(*index.shape, 3).float() - MID_GRAY


def _covered(low: Tensor, step: Tensor, origin: Tensor, limit: Tensor, offset: Tensor, side: int) -> Tensor:
    """(N, 2, side, K): the share of output pixel i that each of K pixels from ``origin`` on covers, in x and in y."""
    edge = low[..., None] - origin[..., None] + step[..., None] * torch.arange(side + 1, device=low.device)
    pixel_low, pixel_high = offset, (offset + 1).minimum((limit - origin)[..., None])
    overlap = edge[..., 1:, None].minimum(pixel_high[..., None, :]) - edge[..., :-1, None].maximum(pixel_low)
    return overlap.clamp(min=0) / step[..., None, None]


def _resample(crops: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Apply (N, S, K) weights ``down`` to rows and ``across`` to columns of (N, K, K, 3) crops."""
    count, side, taps = down.shape
    rows = torch.bmm(down, crops.view(count, taps, taps * 3)).view(count, side, taps, 3)
    patches = torch.bmm(across, rows.transpose(1, 2).reshape(count, taps, side * 3)).view(count, side, side, 3)
    return patches.permute(0, 3, 2, 1).contiguous(memory_format=torch.channels_last)
