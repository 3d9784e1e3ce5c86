"""Some faces of a set in one picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["draw_contact_sheet"]

_COLUMNS, _GAP, _PAPER = 12, 4, 255


def draw_contact_sheet(crops: NDArray[np.uint8]) -> Image.Image:
    """Lay out (n, size, size, 3) uint8 RGB crops in rows of twelve; n is at least 1."""
    count, size = crops.shape[:2]
    columns = min(count, _COLUMNS)
    rows, step = -(-count // columns), size + _GAP
    page = np.full((rows * step + _GAP, columns * step + _GAP, 3), _PAPER, np.uint8)
    for number, crop in enumerate(crops):
        top, left = (place * step + _GAP for place in divmod(number, columns))
        page[top : top + size, left : left + size] = crop
    return Image.fromarray(page)
