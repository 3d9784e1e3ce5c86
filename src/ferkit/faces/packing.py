"""Place rectangles on one canvas with little waste."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

_UNBOUNDED = 1 << 40


class _Free(NamedTuple):
    """A rectangle of the canvas that is still empty."""

    left: int
    top: int
    width: int
    height: int

    def holds(self, width: int, height: int) -> bool:
        return width <= self.width and height <= self.height

    def without_corner(self, width: int, height: int) -> list[_Free]:
        """What is left to the right of and below a rectangle in the top left corner; the larger part stays whole."""
        right, below = self.width - width, self.height - height
        beside = _Free(self.left + width, self.top, right, height if right < below else self.height)
        under = _Free(self.left, self.top + height, self.width if right < below else width, below)
        return [beside, under]


def pack(sizes: Sequence[tuple[int, int]]) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """Guillotine packing (Jylänki, "A thousand ways to pack the bin", 2010): tallest first, each into the flattest gap.

    Args:
        sizes: (width, height) of each rectangle, all even.

    Returns:
        (left, top) of each rectangle in the given order, and (width, height) of the canvas; all even.
    """
    area = sum(width * height for width, height in sizes)
    canvas_width = max([2 * math.isqrt(area // 40), *(width for width, _ in sizes)])
    narrowest, lowest = min((width for width, _ in sizes), default=0), min((height for _, height in sizes), default=0)
    gaps = [_Free(0, 0, canvas_width, _UNBOUNDED)]
    places = [(0, 0)] * len(sizes)
    for i in sorted(range(len(sizes)), key=lambda i: -sizes[i][1]):
        gap = min((gap for gap in gaps if gap.holds(*sizes[i])), key=lambda gap: (gap.height, gap.width))
        gaps.remove(gap)
        gaps += [part for part in gap.without_corner(*sizes[i]) if part.holds(narrowest, lowest)]
        places[i] = (gap.left, gap.top)
    canvas_height = max((top + size[1] for (_, top), size in zip(places, sizes, strict=True)), default=0)
    return places, (canvas_width, canvas_height)
