"""Some faces of a set in one picture."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_COLUMNS, _GAP, _PAPER = 12, 4, 255
_NUMBER, _INK = 22, "#c8452f"


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


def draw_numbered_faces(crops: NDArray[np.uint8]) -> Image.Image:
    """Lay out the (n, size, size, 3) uint8 RGB faces of one photo as `draw_contact_sheet` does, numbered from 1."""
    page = draw_contact_sheet(crops)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(_NUMBER)
    for number in range(len(crops)):
        row, column = divmod(number, _COLUMNS)
        corner = tuple(_GAP + place * (crops.shape[1] + _GAP) + _GAP for place in (column, row))
        left, top, right, bottom = draw.textbbox(corner, str(number + 1), font=font)
        draw.rectangle((left - 3, top - 3, right + 3, bottom + 3), fill="white")
        draw.text(corner, str(number + 1), fill=_INK, font=font)
    return page
