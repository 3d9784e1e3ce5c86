"""Halved copies of images, and small square patches drawn from them for many boxes.

Coordinates are continuous: the first pixel covers 0 to 1.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from ferkit.faces.networks import MID_GRAY

Pixels = NDArray[np.uint8]

_COARSEST = 48
"""A copy with no side above this is not halved again: no patch needs less."""

_GRAY = (round(MID_GRAY),) * 3


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


def cut_patches(
    stacks: Sequence[Sequence[Pixels]], image: NDArray[np.int64], boxes: NDArray[np.float32], side: int
) -> Pixels:
    """Draw the square under each box with ``side`` x ``side`` pixels; outside the image is mid-gray.

    Each is drawn by bilinear interpolation from the smallest copy that still has ``side`` pixels across the box, so
    that the interpolation passes over no pixel of that copy.

    Args:
        stacks: the images' halvings, full size first.
        image: (N,) number of the image that each box lies in.
        boxes: (N, 4) squares (x0, y0, x1, y1) in continuous pixels of the full-size image.
        side: pixels a side of the patch.

    Returns:
        (N, side, side, 3) uint8.
    """
    deepest = np.array([len(stack) - 1 for stack in stacks])[image]
    steps = (boxes[:, 2] - boxes[:, 0]).astype(np.float64) / side
    halved = np.log2(steps.clip(min=1)).astype(np.int64).clip(max=deepest)
    patches = np.empty((len(boxes), side, side, 3), np.uint8)
    views = zip(image.tolist(), halved.tolist(), *_views(boxes, steps, halved, side), patches, strict=True)
    for number, depth, (left, top, right, bottom), matrix, patch in views:
        _draw(stacks[number][depth][top:bottom, left:right], matrix, patch)
    return patches


def _views(
    boxes: NDArray[np.float32], steps: NDArray[np.float64], halved: NDArray[np.int64], side: int
) -> tuple[list[list[int]], NDArray[np.float64]]:
    """The window of its copy that each patch shows, and how it lies there.

    OpenCV 4 cannot warp images above 32767 px; it is given no more than the window.

    Returns:
        (left, top, right, bottom) of the windows, and (N, 2, 3) maps from pixel numbers of the patch to those of the
        window, where the first pixel's centre is 0.
    """
    zoom = 0.5**halved
    first = (boxes[:, :2] + steps[:, None] / 2) * zoom[:, None] - 0.5
    low = np.floor(first).clip(min=0)
    high = np.ceil(first + (steps * zoom * side)[:, None]).clip(min=0) + 1
    matrices = np.zeros((len(boxes), 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = steps * zoom
    matrices[:, :, 2] = first - low
    return np.hstack([low, high]).astype(np.int64).tolist(), matrices


def _draw(window: Pixels, matrix: NDArray[np.float64], patch: Pixels) -> None:
    if window.size:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cv2.warpAffine(window, matrix, patch.shape[:2], patch, flags, cv2.BORDER_CONSTANT, _GRAY)
    else:
        patch[...] = _GRAY[0]
