"""``ferkit warp-preview``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ferkit.cli.options import AlignedOpt, JsonOpt
from ferkit.cli.output import ProgressBar, report

__all__ = ["warp_preview"]


def warp_preview(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="A photo with a face, or a face crop.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG to write.")] = Path("warp.png"),
    columns: Annotated[int, typer.Option(min=2, max=20, help="Pictures a row.")] = 6,
    seed: Annotated[int, typer.Option(help="Source of all randomness.")] = 0,
    aligned: AlignedOpt = None,
    json: JsonOpt = False,
) -> None:
    """See what pre-training does to a face."""
    from ferkit.workflows.warp_preview import warp_preview as run

    with ProgressBar() as progress:
        result = run(image, out, columns=columns, seed=seed, aligned=aligned, progress=progress)
    report(
        f"{result.path}: {result.positives} positives above, {result.warps} warps and the negatives made of them below",
        {"path": str(result.path), "positives": result.positives, "warps": result.warps, "faces": result.faces},
        json=json,
    )
