"""``ferkit timeline``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferkit.cli.checks import require_names
from ferkit.cli.options import DeviceOpt, EncoderOpt, HeadOpt, JsonOpt, optional, with_face_options, with_settings
from ferkit.cli.output import escape, run_and_report, short_path
from ferkit.cli.words import count_of
from ferkit.encoders import DEFAULT_ENCODER
from ferkit.search.moment_settings import MomentSettings

if TYPE_CHECKING:
    from ferkit.workflows.timeline import TimelineResult


@with_face_options()
@with_settings(MomentSettings, names=["smooth", "gap"])
def timeline(
    sources: Annotated[
        list[Path], typer.Argument(metavar="VIDEO…|EMB.npy", help="Videos, or an embedding set of videos.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture, .png.")] = Path("timeline.png"),
    csv: Annotated[
        Path | None, optional("Write every face of every frame, as `ferkit recognise` does.", metavar="OUT.csv")
    ] = None,
    encoder: EncoderOpt = DEFAULT_ENCODER,
    head: HeadOpt = None,
    device: DeviceOpt = None,
    json: JsonOpt = False,
    **options: object,
) -> None:
    """Draw what faces in videos show over time."""
    arguments = dict(locals())
    require_names(sources, encoder=encoder)
    from ferkit.workflows.timeline import timeline as run

    run_and_report(run, arguments, _summary)


def _summary(result: TimelineResult) -> str:
    drawn = (
        f"[bold]{escape(str(result.path))}[/]: {count_of(result.frames, 'frame')} of {count_of(result.clips, 'clip')}"
        f" in {count_of(result.lanes, 'panel')}, by {escape(result.encoder)}"
    )
    table = [f"table: [bold]{escape(str(result.csv))}[/]"] if result.csv else []
    problems = [f"  {escape(short_path(source))}: {escape(why)}" for source, why in result.problems]
    return "\n".join([drawn, *table, *problems])
