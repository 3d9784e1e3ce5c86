"""``ferkit align``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferkit.cli.checks import require_names
from ferkit.cli.options import DeviceOpt, JsonOpt, OverwriteOpt, PartOpt, SourcesArg, in_parts, with_settings
from ferkit.cli.output import escape, run_and_report
from ferkit.cli.words import count_of, count_pictures, problem_lines, shell_path
from ferkit.pipeline.engine import PartSettings
from ferkit.pipeline.face_options import FaceOptions

if TYPE_CHECKING:
    from ferkit.workflows.align import AlignResult


@with_settings(PartSettings, FaceOptions)
def align(
    sources: SourcesArg,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the face set.")] = Path("faces"),
    crop_size: Annotated[
        int,
        typer.Option(metavar="128|160|256", help="Side of the crops in pixels; encoders of 224 px gain by 256."),
    ] = 128,
    device: DeviceOpt = None,
    overwrite: OverwriteOpt = False,
    part: PartOpt = None,
    json: JsonOpt = False,
    **options: object,
) -> None:
    """Find and align every face of photos and videos; keep the crops as a face set."""
    arguments = dict(locals())
    require_names(sources)
    from ferkit.workflows.align import align as run
    from ferkit.workflows.align import align_parts

    if in_parts(options):
        del arguments["part"]
        run_and_report(align_parts, arguments, _summary)
    else:
        run_and_report(run, arguments, _summary)


def _summary(result: AlignResult) -> str:
    path = escape(str(result.path))
    found = f"{count_of(result.faces, 'face')} of {count_pictures(result.pictures, result.unit)}"
    done = f"[bold]{path}[/]: {found} in {result.seconds:.1f} s"
    lines = [done, *problem_lines(result)]
    if len(lines) > 1:
        lines.append(f"all of them: {path}/problems.csv")
    return "\n".join([*lines, f"next: [bold]ferkit embed {shell_path(result.path)} -o emb.npy[/]"])
