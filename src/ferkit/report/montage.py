"""The picture of a retrieval: the query at the left, the ranked faces beside it, the score under each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from ferkit.printable import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MARGIN = 40
_GAP = 20
_TILE = 200
_QUERY = 420
_COLUMNS = 5
_CAPTION = 62
_HEADER = 56
_FOOTER = 34

_PAPER = "#ffffff"
_INK = "#1c1f26"
_SOFT = "#7a808c"
_EDGE = "#d9dce3"
_EMPTY = "#eef0f4"
_ACCENT = "#c8452f"


@dataclass(frozen=True)
class Tile:
    """One face of the montage."""

    # (H, H, 3) uint8 RGB; a text draws an empty tile that says it, such as why there is no picture any more
    crop: NDArray[np.uint8] | str
    title: str  # the strong line under the face (a score; for the query: the word to show above it)
    name: str  # the soft line below it, shortened in its middle where it is too wide


def draw_montage(
    query: Tile, hits: Sequence[Tile], footer: str = "", heading: str = "closest expressions"
) -> Image.Image:
    """Draw ``query`` and the ranked ``hits``, five in a row.

    Args:
        query: the face that was asked for; a text in its place, such as the name of a class, is drawn no larger than
            a hit.
        hits: the answers, best first.
        footer: one soft line at the bottom (set and encoder).
        heading: soft words above the answers.

    Returns:
        An RGB image, about 1,600 px wide.
    """
    columns = max(1, min(_COLUMNS, len(hits)))
    rows = max(1, -(-len(hits) // _COLUMNS))
    grid_height = rows * (_TILE + _CAPTION) + (rows - 1) * _GAP
    side = _TILE if isinstance(query.crop, str) else _QUERY
    grid_left = _MARGIN + side + 2 * _MARGIN
    width = grid_left + columns * _TILE + (columns - 1) * _GAP + _MARGIN
    height = _HEADER + max(grid_height, side + _CAPTION) + _FOOTER + _MARGIN
    canvas = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(canvas)
    _draw_query(canvas, draw, query, side)
    draw.text((grid_left, _HEADER - 12), printable(heading), fill=_SOFT, font=_font(17), anchor="ls")
    for rank, tile in enumerate(hits):
        row, column = divmod(rank, _COLUMNS)
        left = grid_left + column * (_TILE + _GAP)
        _draw_hit(canvas, draw, tile, rank + 1, (left, _HEADER + row * (_TILE + _CAPTION + _GAP)))
    draw.text((_MARGIN, height - _MARGIN // 2), printable(footer), fill=_SOFT, font=_font(14), anchor="ls")
    return canvas


def _draw_query(canvas: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, side: int) -> None:
    left, top = _MARGIN, _HEADER
    draw.text((left, top - 12), tile.title, fill=_ACCENT, font=_font(17, bold=True), anchor="ls")
    _paste(canvas, draw, tile, (left, top), side)
    draw.rectangle((left - 4, top - 4, left + side + 3, top + side + 3), outline=_ACCENT, width=4)
    if not isinstance(tile.crop, str) or tile.name != tile.crop:
        font = _font(17)
        draw.text((left, top + side + 34), _fit(tile.name, font, side), fill=_INK, font=font, anchor="ls")


def _draw_hit(canvas: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, rank: int, corner: tuple[int, int]) -> None:
    left, top = corner
    _paste(canvas, draw, tile, corner, _TILE)
    draw.rectangle((left, top, left + _TILE - 1, top + _TILE - 1), outline=_EDGE)
    base = top + _TILE + 26
    draw.text((left, base), tile.title, fill=_INK, font=_font(19, bold=True), anchor="ls")
    draw.text((left + _TILE, base), f"#{rank}", fill=_SOFT, font=_font(15), anchor="rs")
    font = _font(14)
    draw.text((left, base + 23), _fit(tile.name, font, _TILE), fill=_SOFT, font=font, anchor="ls")


def _paste(canvas: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, corner: tuple[int, int], side: int) -> None:
    if not isinstance(tile.crop, str):
        face = Image.fromarray(tile.crop).resize((side, side), Image.Resampling.BICUBIC)
        canvas.paste(face, corner)
        return
    left, top = corner
    draw.rectangle((left, top, left + side - 1, top + side - 1), fill=_EMPTY)
    middle = (left + side // 2, top + side // 2)
    draw.text(middle, tile.crop, fill=_SOFT, font=_font(15), anchor="mm")


def _fit(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """``text``, with as much of its middle left out as it takes to be at most ``width`` pixels wide."""
    text = printable(text)
    if font.getlength(text) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        head = text[: kept - kept // 2]
        short = f"{head}…{text[-(kept // 2) :]}"
        if font.getlength(short) <= width:
            return short
    return "…"


@cache
def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans of matplotlib's package: Pillow's own font knows little beyond Latin letters."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)
