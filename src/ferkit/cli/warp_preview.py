"""``ferkit warp-preview``."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ferkit.cli.checks import require_names
from ferkit.cli.options import JsonOpt, with_face_options
from ferkit.cli.output import ProgressBar, escape, report
from ferkit.cli.words import counted


@with_face_options(["aligned", "min_face", "max_side", "thresholds"])
def warp_preview(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE", help="A photo with a face, or a face crop; for --face-swap several, or a face set."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG sheet, or GIF animation, to write.")] = Path("warp.png"),
    face_swap: Annotated[
        bool, typer.Option("--face-swap", help="Show everybody's expression on everybody's outer face instead.")
    ] = False,
    columns: Annotated[int, typer.Option(min=2, max=20, help="Pictures a row.")] = 6,
    seed: Annotated[int, typer.Option(help="Source of all randomness.")] = 0,
    json: JsonOpt = False,
    **options: Any,  # noqa: ANN401
) -> None:
    """See what pre-training does to a face."""
    require_names(images)
    from ferkit.workflows.warp_preview import warp_preview as run

    with ProgressBar() as progress:
        result = run(images, out, face_swap=face_swap, columns=columns, seed=seed, progress=progress, **options)
    positives = f"{counted(result.positives, 'positive')}, " if result.positives else ""
    shown = f"{result.swaps} swaps of {result.faces} faces" if face_swap else f"{result.warps} warps of three kinds"
    report(f"{escape(str(result.path))}: {positives}{shown}", asdict(result), json=json)
