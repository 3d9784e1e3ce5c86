"""See what pre-training does to a face: positives, local warps, and the negatives made of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray
from torch import Tensor

from ferkit.atomic import atomic_path
from ferkit.errors import InputError
from ferkit.methods.views import ViewMaker, ViewSettings, Warp, WarpSettings, draw_warps, to_float
from ferkit.ops.grids import sample, sampling_grid
from ferkit.ops.warps import warp_grid
from ferkit.progress import Progress, Silent
from ferkit.workflows.faces_of import MIN_FACE, open_pictures

__all__ = ["WarpPreview", "warp_preview"]

_ARROW = "#ffd24a"


@dataclass(frozen=True)
class WarpPreview:
    """Where the picture lies and what it shows."""

    path: Path
    positives: int
    warps: int
    faces: int


def warp_preview(
    image: str | Path,
    out: str | Path = "warp.png",
    *,
    columns: int = 6,
    seed: int = 0,
    views: ViewSettings | None = None,
    warps: WarpSettings | None = None,
    aligned: bool | None = None,
    progress: Progress | None = None,
) -> WarpPreview:
    """Draw a face, its positives, its warps with arrows, and the negatives as training sees them.

    Args:
        image: a photo or a face crop; of several faces the leftmost is taken.
        out: PNG to write.
        columns: pictures a row.
        seed: source of all randomness.
        views: global transforms; the defaults of pre-training when None.
        warps: local warps; the defaults of pre-training when None.
        aligned: take the image as a face crop (True), search it for faces (False), or decide by its looks (None).
        progress: told what the image was taken for.

    Raises:
        InputError: the image is missing, unreadable or shows no face.
        OutputError: the picture cannot be written.
    """
    if columns < 2:
        raise InputError(f"a preview needs at least 2 columns, not {columns}")
    crop, count = _face(Path(image), aligned, progress or Silent())
    views, warps = views or ViewSettings(), warps or WarpSettings()
    generator = torch.Generator().manual_seed(seed)
    faces = to_float(torch.from_numpy(crop)[None]).expand(columns, -1, -1, -1)
    make_view = ViewMaker(views)
    positives = _visible(make_view(faces[1:], generator), views)
    warp = draw_warps(columns, warps, generator)
    identity = sampling_grid(torch.eye(2, 3).expand(columns, -1, -1), crop.shape[0])
    bent = _pixels(sample(faces, warp_grid(identity, warp.centers, warp.shifts, warp.radii)))
    negatives = _visible(make_view(faces, generator, warp), views)
    figure = _draw(crop, positives, bent, warp, negatives)
    with atomic_path(Path(out)) as partial:
        figure.savefig(partial, format="png")
    return WarpPreview(Path(out), columns - 1, columns, count)


def _face(image: Path, aligned: bool | None, progress: Progress) -> tuple[NDArray[np.uint8], int]:
    stream = open_pictures([image], aligned=aligned, device="cpu", min_face=MIN_FACE, progress=progress)
    batch = next(stream.batches())
    if batch.problems:
        raise InputError(
            f"cannot preview {str(image)!r}: {batch.problems[0].what}; give a picture of a face, or --aligned"
        )
    return batch.crops[0], len(batch.crops)


def _pixels(images: Tensor) -> NDArray[np.float32]:
    return images.clamp(0, 1).movedim(1, -1).numpy()


def _visible(view: Tensor, settings: ViewSettings) -> NDArray[np.float32]:
    """Undo the normalisation of views, for eyes."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (settings.mean, settings.std))
    return _pixels(view * std + mean)


def _draw(
    crop: NDArray[np.uint8],
    positives: NDArray[np.float32],
    bent: NDArray[np.float32],
    warp: Warp,
    negatives: NDArray[np.float32],
) -> Figure:
    columns = len(bent)
    figure = Figure(figsize=(1.6 * columns, 5.9), dpi=120, layout="constrained", facecolor="white")
    grid = figure.add_gridspec(3, 1)
    rows = [figure.add_subfigure(grid[row]) for row in range(3)]
    titles = (
        "the face, and positives: global transforms keep the expression",
        "local warps: the arrows show how the skin is dragged",
        "negatives: the same warps behind global transforms of their own, as training sees them",
    )
    shown: tuple[list[NDArray[Any]], ...] = ([crop, *positives], list(bent), list(negatives))
    for row, title, pictures in zip(rows, titles, shown, strict=True):
        row.suptitle(title, fontsize=9)
        for axes, picture in zip(_axes(row, columns), pictures, strict=True):
            axes.imshow(picture)
            axes.set_axis_off()
    for index, axes in enumerate(rows[1].axes):
        _arrows(axes, warp, index, crop.shape[0])
    return figure


def _axes(row: SubFigure, columns: int) -> list[Axes]:
    return [row.add_subplot(1, columns, column + 1) for column in range(columns)]


def _arrows(axes: Axes, warp: Warp, index: int, size: int) -> None:
    moved = warp.shifts[index].norm(dim=-1) > 0
    start = ((warp.centers[index][moved] + 1) * size / 2 - 0.5).numpy()
    shift = (warp.shifts[index][moved] * size / 2).numpy()
    axes.quiver(
        *start.T,
        *shift.T,
        angles="xy",
        scale_units="xy",
        scale=1,
        color=_ARROW,
        width=0.014,
        headwidth=3,
        headlength=3,
        headaxislength=3,
        minlength=0.5,
        edgecolor="black",
        linewidth=0.4,
    )
