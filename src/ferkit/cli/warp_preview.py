"""``ferkit warp-preview``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ferkit.cli.options import JsonOpt, with_face_options
from ferkit.cli.output import ProgressBar, report

__all__ = ["warp_preview"]


@with_face_options(["aligned", "min_face", "max_side", "thresholds"])
def warp_preview(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="A photo with a face, or a face crop.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG sheet, or GIF animation, to write.")] = Path("warp.png"),
    columns: Annotated[int, typer.Option(min=2, max=20, help="Pictures a row.")] = 6,
    seed: Annotated[int, typer.Option(help="Source of all randomness.")] = 0,
    json: JsonOpt = False,
    **options: Any,  # noqa: ANN401
) -> None:
    """See what pre-training does to a face."""
    from ferkit.workflows.warp_preview import warp_preview as run

    with ProgressBar() as progress:
        result = run(image, out, columns=columns, seed=seed, progress=progress, **options)
    positives = f"{result.positives} positives, " if result.positives else ""
    report(
        f"{result.path}: {positives}{result.warps} warps of three kinds",
        {"path": str(result.path), "positives": result.positives, "warps": result.warps, "faces": result.faces},
        json=json,
    )
