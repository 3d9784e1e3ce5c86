"""``ferkit warp-preview``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ferkit.cli.checks import require_names
from ferkit.cli.options import JsonOpt, with_face_options
from ferkit.cli.output import escape, run_and_report
from ferkit.cli.words import count_of

if TYPE_CHECKING:
    from ferkit.workflows.warp_preview import WarpPreview


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
    arguments = dict(locals())
    require_names(images)
    from ferkit.workflows.warp_preview import warp_preview as run

    run_and_report(run, arguments, _summary)


def _summary(result: WarpPreview) -> str:
    positives = f"{count_of(result.positives, 'positive')}, " if result.positives else ""
    shown = f"{result.swaps} swaps of {result.faces} faces" if result.swaps else f"{result.warps} warps of three kinds"
    return f"{escape(str(result.path))}: {positives}{shown}"
