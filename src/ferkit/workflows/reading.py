"""Decoding pictures ahead of their use: on threads, in order, and never more of them than memory allows."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ferkit.data.sources import Picture
from ferkit.errors import UnreadableImageError

__all__ = ["Decoded", "grouped", "read_ahead", "read_crop", "read_photo"]

Pixels = NDArray[np.uint8]
Reader = Callable[[Picture], tuple[Pixels, int]]

_PHOTO_SIDE = 1600
"""A photo's longer side keeps at least this many pixels; far larger ones are decoded at a half, quarter or eighth."""

_CROP_SIDE = 512
_SMALLEST_CROP = 16
_GROUP_PIXELS = 24_000_000


def read_photo(picture: Picture) -> tuple[Pixels, int]:
    """Read a photo as faces are searched and cut from it.

    Returns:
        (H, W, 3) uint8 RGB, and how many pixels of the original one of its pixels spans.

    Raises:
        UnreadableImageError: as `Picture.read`.
    """
    return picture.read_scaled(_PHOTO_SIDE)


def read_crop(picture: Picture) -> tuple[Pixels, int]:
    """Read a picture that is a face crop already: its central square, resized (bicubic, antialiased when it shrinks).

    Returns:
        (128, 128, 3) uint8 RGB, and 1, since nothing is measured on it.

    Raises:
        UnreadableImageError: as `Picture.read`, or too few pixels for a face.
    """
    from ferkit.faces.template import CROP_SIZE

    image = picture.read(_CROP_SIDE)
    height, width = image.shape[:2]
    if min(height, width) < _SMALLEST_CROP:
        raise UnreadableImageError(picture.source, f"{width}×{height} pixels are too few for a face")
    if height == width == CROP_SIZE:
        return image, 1
    cut = min(height, width)
    left, top = (width - cut) // 2, (height - cut) // 2
    square = Image.fromarray(image[top : top + cut, left : left + cut])
    return np.asarray(square.resize((CROP_SIZE, CROP_SIZE), Image.Resampling.BICUBIC)), 1


class Decoded(NamedTuple):
    """A picture with its pixels, or with the reason why there are none.

    Attributes:
        picture: what was read.
        image: (H, W, 3) uint8 RGB; (0, 0, 3) where it could not be read.
        scale: how many pixels of the original one of the image's spans.
        problem: why it could not be read.
    """

    picture: Picture
    image: Pixels
    scale: int = 1
    problem: str | None = None


def _decode(picture: Picture, read: Reader) -> Decoded:
    try:
        return Decoded(picture, *read(picture))
    except UnreadableImageError as error:
        return Decoded(picture, np.empty((0, 0, 3), np.uint8), problem=error.why)


def read_ahead(pictures: Sequence[Picture], start: int, read: Reader, ahead: int) -> Iterator[Decoded]:
    """Decode in order on a few threads, at most ``ahead`` pictures before the one that is wanted."""
    waiting: deque[Future[Decoded]] = deque()
    pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="decode")
    try:
        for number in range(start, len(pictures)):
            waiting.append(pool.submit(_decode, pictures[number], read))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def grouped(decoded: Iterable[Decoded], most: int) -> Iterator[list[Decoded]]:
    """Group by number and by pixels, so that a batch of huge pictures needs no more memory than one of small ones.

    The groups from the start of any group on depend on nothing before it: a resumed job meets the same ones.
    """
    group: list[Decoded] = []
    pixels = 0
    for item in decoded:
        size = item.image.shape[0] * item.image.shape[1]
        if group and (len(group) == most or pixels + size > _GROUP_PIXELS):
            yield group
            group, pixels = [], 0
        group.append(item)
        pixels += size
    if group:
        yield group
