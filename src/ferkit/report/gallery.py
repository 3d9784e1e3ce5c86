"""Draw the demo's result as one picture: on the left of each row a query, to its right the faces that it found."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

_TILE, _GAP, _FRAME, _CAPTION = 128, 12, 4, 24
_STEP = _TILE + _GAP
_MARGIN, _PANEL_GAP = 36, 60
_HEADER, _FOOTER = 146, 52
_AFTER_QUERY = 20
_PAPER, _INK, _QUIET, _MATCH = "#ffffff", "#1b1f24", "#6b7480", "#1a8a4c"


@dataclass(frozen=True)
class GalleryFace:
    """One (128, 128, 3) uint8 RGB face, the words under it, and whether it is the face that should be found."""

    crop: NDArray[np.uint8]
    caption: str
    match: bool = False


@dataclass(frozen=True)
class GalleryRow:
    """A query and the faces found, best first."""

    query: GalleryFace
    found: Sequence[GalleryFace]


@dataclass(frozen=True)
class Panel:
    """Rows under one heading; all rows of all panels find equally many faces."""

    heading: str
    rows: Sequence[GalleryRow]


def draw_gallery(title: str, panels: Sequence[Panel], footer: str) -> Image.Image:
    """Lay the panels side by side.

    Args:
        title: one line at the top.
        panels: at least one, with at least one row each.
        footer: one line at the bottom.

    Returns:
        An RGB picture, faces at their own 128 px.
    """
    width, height = (max(sides) for sides in zip(*map(_panel_size, panels), strict=True))
    total = 2 * _MARGIN + len(panels) * width + (len(panels) - 1) * _PANEL_GAP
    page = Image.new("RGB", (total, _HEADER + height + _FOOTER), _PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((_MARGIN, 26), title, _INK, _font(28))
    for number, panel in enumerate(panels):
        _draw_panel(page, draw, panel, _MARGIN + number * (width + _PANEL_GAP))
    draw.text((_MARGIN, _HEADER + height + 8), footer, _QUIET, _font(17))
    return page


def _panel_size(panel: Panel) -> tuple[int, int]:
    columns = 1 + max(len(row.found) for row in panel.rows)
    return columns * _STEP - _GAP + _AFTER_QUERY, len(panel.rows) * (_STEP + _CAPTION)


def _draw_panel(page: Image.Image, draw: ImageDraw.ImageDraw, panel: Panel, left: int) -> None:
    draw.text((left, 82), panel.heading, _INK, _font(20))
    _centred(draw, "query", left, _HEADER - 26, _QUIET)
    for rank in range(max(len(row.found) for row in panel.rows)):
        _centred(draw, str(rank + 1), _column(left, rank), _HEADER - 26, _QUIET)
    bottom = _HEADER + len(panel.rows) * (_STEP + _CAPTION) - _GAP
    rule = left + _TILE + (_GAP + _AFTER_QUERY) // 2
    draw.line((rule, _HEADER - 22, rule, bottom), "#d9dee4", 2)
    for number, row in enumerate(panel.rows):
        top = _HEADER + number * (_STEP + _CAPTION)
        _draw_tile(page, draw, row.query, left, top, _INK)
        for rank, tile in enumerate(row.found):
            _draw_tile(page, draw, tile, _column(left, rank), top, _MATCH if tile.match else _QUIET)


def _draw_tile(
    page: Image.Image, draw: ImageDraw.ImageDraw, tile: GalleryFace, left: int, top: int, colour: str
) -> None:
    if tile.match:
        box = (left - _FRAME, top - _FRAME, left + _TILE + _FRAME - 1, top + _TILE + _FRAME - 1)
        draw.rectangle(box, fill=_MATCH)
    page.paste(Image.fromarray(tile.crop), (left, top))
    _centred(draw, tile.caption, left, top + _TILE + _FRAME + 1, colour)


def _column(left: int, rank: int) -> int:
    return left + (rank + 1) * _STEP + _AFTER_QUERY


def _centred(draw: ImageDraw.ImageDraw, text: str, left: int, top: int, colour: str) -> None:
    draw.text((left + _TILE / 2, top), text, colour, _font(15), anchor="ma")


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
