"""``ferkit align``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from ferkit.cli.options import AlignedOpt, DeviceOpt, JsonOpt, MinFaceOpt, OverwriteOpt, SourcesArg
from ferkit.cli.output import ProgressBar, report
from ferkit.cli.problems import problem_lines
from ferkit.workflows import MIN_FACE

if TYPE_CHECKING:
    from ferkit.workflows.align import AlignResult

__all__ = ["align"]


def align(
    sources: SourcesArg,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the face set.")] = Path("faces"),
    aligned: AlignedOpt = None,
    min_face: MinFaceOpt = MIN_FACE,
    device: DeviceOpt = None,
    overwrite: OverwriteOpt = False,
    json: JsonOpt = False,
) -> None:
    """Find and align every face of photos; keep the crops as a face set."""
    from ferkit.workflows.align import align as run

    with ProgressBar() as progress:
        result = run(
            sources, out, aligned=aligned, min_face=min_face, device=device, overwrite=overwrite, progress=progress
        )
    report(_summary(result), asdict(result), json=json)


def _summary(result: AlignResult) -> str:
    path = escape(str(result.path))
    done = f"[bold]{path}[/]: {result.faces:,} faces of {result.pictures:,} pictures in {result.seconds:.1f} s"
    lines = [done, *problem_lines(result.faceless, result.unreadable)]
    if result.faceless or result.unreadable:
        lines.append(f"all of them: {path}/problems.csv")
    return "\n".join([*lines, f"next: [bold]ferkit embed {path} -o emb.npy[/]"])
