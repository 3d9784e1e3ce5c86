"""The sheet of a warp preview: rows of faces with a title, arrows where the skin is dragged."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ferkit.ops.warps import Warp

_SIDE, _LINE, _LETTERS = 1.6, 0.2, 20
"""Inches of a picture and of a title's line, and letters of a title above each picture."""

_COLOUR = "#ffd24a"
_ARROWS = 9
"""Arrows a side, where the skin moves at all."""

_LEAST = 0.03
"""Displacement, as a share of the crop's half side, below which there is no arrow."""


@dataclass(frozen=True)
class PictureRow:
    """Equal (H, W, 3) pictures below a title, and the warps that they show."""

    title: str
    pictures: Sequence[NDArray[Any]]
    warp: Warp | None = None


def draw_sheet(rows: Sequence[PictureRow]) -> Figure:
    """Draw rows of as many pictures each below one another."""
    columns = len(rows[0].pictures)
    titles = [fill(row.title, _LETTERS * columns) for row in rows]
    heights = [_SIDE + _LINE * len(title.splitlines()) for title in titles]
    figure = Figure(figsize=(_SIDE * columns, sum(heights)), dpi=120, layout="constrained", facecolor="white")
    parts = figure.subfigures(len(rows), 1, squeeze=False, height_ratios=heights)[:, 0]
    for row, title, part in zip(rows, titles, parts, strict=True):
        part.suptitle(title, fontsize=9)
        for column, axes in enumerate(part.subplots(1, columns)):
            axes.imshow(row.pictures[column])
            axes.set_axis_off()
            axes.autoscale(False)  # arrows past the border widen nothing
            if row.warp is not None:
                _arrows(axes, row.warp.rows(slice(column, column + 1)), row.pictures[column].shape[0])
    return figure


def _arrows(axes: Axes, warp: Warp, size: int) -> None:
    """From where the skin comes to where it is seen."""
    line = torch.linspace(-0.9, 0.9, _ARROWS)
    points = torch.cartesian_prod(line, line)
    shift = warp.at(points[None, None])[0, 0]
    far = shift.norm(dim=1) > _LEAST
    start, shift = ((points - shift)[far] + 1) * size / 2 - 0.5, shift[far] * size / 2
    axes.quiver(
        *start.T.numpy(),
        *shift.T.numpy(),
        angles="xy",
        scale_units="xy",
        scale=1,
        color=_COLOUR,
        width=0.009,
        headwidth=3,
        headlength=3,
        headaxislength=3,
        minlength=0.5,
        edgecolor="black",
        linewidth=0.3,
    )
