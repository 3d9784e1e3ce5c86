"""Decoding ahead of use: on threads, in order, and never more than memory allows."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ferkit.data.sources import Picture
from ferkit.errors import UnreadableImageError
from ferkit.faces.template import CROP_SIZE, template_points

Pixels = NDArray[np.uint8]
Reader = Callable[[Picture], "Decoded"]
T = TypeVar("T")

_LONGER, _SHORTER = 1600, 900
"""Sides in pixels that a photo keeps where it is searched: one with twice as many is decoded at a half, and so on."""

_SMALLEST, _CLEAR = 15, 48
"""Pixels of the searched copy that the smallest face keeps: in any case, and where that copy is smaller than usual."""

_CROP_SIDE = 512
_SMALLEST_CROP, _LARGEST_CROP = 16, 256
_GROUP_PIXELS = 24_000_000
_MOST_THREADS = 4
_END = object()


def read_photo(picture: Picture, min_face: float | None) -> tuple[Pixels, int]:
    """Read a photo as faces are searched in it, see `search_scale`.

    Args:
        picture: the photo.
        min_face: as in `FaceOptions`.

    Returns:
        (H, W, 3) uint8 RGB, and how many pixels of the original one of its pixels spans.

    Raises:
        UnreadableImageError: as `Picture.read`.
    """
    return picture.read_scaled(scale=partial(search_scale, min_face=min_face))


def search_scale(size: tuple[int, int], min_face: float | None = None) -> int:
    """Return the scale, 1, 2, 4 or 8, at which a photo is searched: no larger than its smallest face needs.

    Args:
        size: its two sides in pixels.
        min_face: side of the smallest face in pixels of the photo, or below 1 as a share of its shorter side; None
            asks for what the usual copy shows, of at least 1600 x 900 pixels.
    """
    shorter, longer = sorted(size)
    usual = next((s for s in (8, 4, 2) if longer >= s * _LONGER and shorter >= s * _SHORTER), 1)
    if min_face is None:
        return usual
    smallest = min_face * shorter if min_face < 1 else min_face
    return next((s for s in (8, 4, 2) if smallest >= s * (_SMALLEST if s <= usual else _CLEAR)), 1)


def cut_scales(landmarks: NDArray[np.floating], crop_size: int = CROP_SIZE) -> NDArray[np.int64]:
    """Return the (n,) scales, 1 to 8, at which the crops of faces lose nothing.

    Args:
        landmarks: (n, 5, 2) pixels of the photo.
        crop_size: side of the crops in pixels.
    """
    from ferkit.faces.align import similarity_from_points

    matrix = similarity_from_points(landmarks, template_points(crop_size))
    steps = 1 / np.hypot(matrix[:, 0, 0], matrix[:, 0, 1])  # pixels of the photo to one of the crop
    scales: NDArray[np.int64] = 2 ** np.log2(steps.clip(1, 8)).astype(np.int64)
    return scales


def read_crop(picture: Picture, crop_size: int = CROP_SIZE) -> tuple[Pixels, float]:
    """Read a picture that is a face crop already.

    Returns:
        (crop_size, crop_size, 3) uint8 RGB, and how many pixels of the original one of its pixels spans.

    Raises:
        UnreadableImageError: as `Picture.read`, or too few pixels for a face.
    """
    image, scale = picture.read_scaled(_CROP_SIDE)
    crop, zoom = square_crop(image, picture.source, crop_size)
    return crop, scale * zoom


def read_picture(picture: Picture, aligned: bool | None, min_face: float | None, crop_size: int = CROP_SIZE) -> Decoded:
    """Read a photo or a face crop.

    Args:
        picture: what to read.
        aligned: whether it is a face crop; None says so of those that are small and square.
        min_face: as in `FaceOptions`.
        crop_size: side of a crop.

    Raises:
        UnreadableImageError: as `read_photo` and `read_crop`.
    """
    if aligned:
        return Decoded(picture, *read_crop(picture, crop_size), aligned=True)
    image, scale = read_photo(picture, min_face)
    if aligned is None and is_crop((image.shape[1] * scale, image.shape[0] * scale)):
        return Decoded(picture, *read_crop(picture, crop_size), aligned=True)
    return Decoded(picture, image, scale)


def is_crop(size: tuple[int, int]) -> bool:
    """Say whether a picture of this width and height is taken as a face crop where nobody says what it is."""
    return size[0] == size[1] <= _LARGEST_CROP


def square_crop(image: Pixels, source: str, crop_size: int = CROP_SIZE) -> tuple[Pixels, float]:
    """Take the central square of a picture, resized (bicubic, antialiased when it shrinks).

    Args:
        image: (H, W, 3) uint8 RGB.
        source: what an error calls it.
        crop_size: side of the crop in pixels.

    Returns:
        (crop_size, crop_size, 3) uint8 RGB, and how many pixels of ``image`` one of its pixels spans.

    Raises:
        UnreadableImageError: too few pixels for a face.
    """
    height, width = image.shape[:2]
    if min(height, width) < _SMALLEST_CROP:
        raise UnreadableImageError(source, f"{width}×{height} pixels are too few for a face")
    if height == width == crop_size:
        return image, 1
    cut = min(height, width)
    left, top = (width - cut) // 2, (height - cut) // 2
    square = Image.fromarray(image[top : top + cut, left : left + cut])
    return np.asarray(square.resize((crop_size, crop_size), Image.Resampling.BICUBIC)), cut / crop_size


class Decoded(NamedTuple):
    """A picture with its pixels, or with the reason why there are none."""

    picture: Picture  # what was read
    image: Pixels  # (H, W, 3) uint8 RGB; (0, 0, 3) where it could not be read
    scale: float = 1  # how many pixels of the original one of the image's spans
    problem: str | None = None  # why it could not be read
    aligned: bool = False  # whether it was taken as a face crop

    @classmethod
    def failed(cls, picture: Picture, why: str) -> Decoded:
        """A picture that could not be read."""
        return cls(picture, np.empty((0, 0, 3), np.uint8), problem=why)


def _decode(picture: Picture, read: Reader) -> Decoded:
    try:
        return read(picture)
    except UnreadableImageError as error:
        return Decoded.failed(picture, error.why)


def read_ahead(
    pictures: Sequence[Picture], start: int, read: Reader, ahead: int, workers: int | None = None
) -> Iterator[Decoded]:
    """Decode in order on a few threads, at most ``ahead`` pictures before the one that is wanted."""
    waiting: deque[Future[Decoded]] = deque()
    threads = workers or min(_MOST_THREADS, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="decode")
    try:
        for number in range(start, len(pictures)):
            waiting.append(pool.submit(_decode, pictures[number], read))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def prefetch(items: Generator[T], ahead: int) -> Iterator[T]:
    """Yield what ``items`` yields, while a thread works on the next: at most ``ahead`` of them wait.

    What it raises is raised here in its turn. When this iterator is dropped, ``items`` is closed at its next item.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="prefetch") as thread, closing(items):
        waiting = deque(thread.submit(next, items, _END) for _ in range(ahead))
        try:
            while (item := waiting.popleft().result()) is not _END:
                waiting.append(thread.submit(next, items, _END))
                yield cast("T", item)
        finally:
            thread.shutdown(cancel_futures=True)


def group_by_pixels(decoded: Iterable[Decoded], most: int, most_crops: int = 0) -> Iterator[list[Decoded]]:
    """Group by number and by pixels, so that a batch of huge pictures needs no more memory than one of small ones.

    Face crops, of which ``most_crops`` go together, and photos come in groups of their own.

    The groups from the start of any group on depend on nothing before it: a resumed job meets the same ones.
    """
    group: list[Decoded] = []
    pixels = 0
    for item in decoded:
        size = item.image.shape[0] * item.image.shape[1]
        limit = most_crops if item.aligned else most
        if group and (len(group) == limit or pixels + size > _GROUP_PIXELS or item.aligned != group[0].aligned):
            yield group
            group, pixels = [], 0
        group.append(item)
        pixels += size
    if group:
        yield group
