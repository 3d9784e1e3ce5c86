"""``ferkit moments``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferkit.cli.checks import require_names
from ferkit.cli.options import DeviceOpt, JsonOpt, KeepOpt, LikeFaceOpt, LikeOpt, SetEncoderOpt, optional, with_settings
from ferkit.cli.output import escape, run_and_report, short_path
from ferkit.cli.words import answer_lines, columns, count_of
from ferkit.pipeline.face_options import FaceOptions
from ferkit.search.moment_settings import MomentSettings

if TYPE_CHECKING:
    from ferkit.search.hits import MomentHit
    from ferkit.workflows.moments import MomentsResult


@with_settings(MomentSettings, FaceOptions)
def moments(
    sources: Annotated[
        list[Path], typer.Argument(metavar="VIDEO…|EMB.npy", help="Videos, or an embedding set of videos.")
    ],
    like: LikeOpt,
    k: Annotated[int | None, optional("How many moments to show.", "-k", default="all")] = None,
    face: LikeFaceOpt = None,
    min_probability: Annotated[float, typer.Option(help="Probability that a moment must reach.")] = 0.5,
    keep: KeepOpt = None,
    sheet: Annotated[Path | None, optional("Draw the faces at their apex.", metavar="OUT.png")] = None,
    plot: Annotated[Path | None, optional("Draw the scores over time.", metavar="OUT.png")] = None,
    csv: Annotated[Path | None, optional("Write the moments as a table.", metavar="OUT.csv")] = None,
    html: Annotated[Path | None, optional("Write all of this as one page.", metavar="OUT.html")] = None,
    frames: Annotated[Path | None, optional("Save the frames of the apexes.", metavar="DIR")] = None,
    encoder: SetEncoderOpt = None,
    device: DeviceOpt = None,
    json: JsonOpt = False,
    **options: object,
) -> None:
    """Find when faces in videos show an expression, and for how long."""
    arguments = dict(locals())
    require_names(sources, encoder=encoder, like=like)
    from ferkit.workflows.moments import moments as run

    run_and_report(run, arguments, _summary)


def _summary(result: MomentsResult) -> list[str]:
    found = count_of(len(result.moments), "moment")
    head = (
        f"{found} like [bold]{escape(result.like)}[/] in {count_of(result.frames, 'frame')} of"
        f" {count_of(result.clips, 'clip')}, by {escape(result.encoder)}"
    )
    if not result.reached:
        head = f"no moment reaches {result.least:g} (--min-probability); the nearest of {head}"
    return answer_lines(head, _table(result.moments, result.measure), result.outputs)


def _table(moments: list[MomentHit], measure: str) -> list[str]:
    cells = {
        "rank": [str(moment.rank) for moment in moments],
        measure: [f"{moment.score:.3f}" for moment in moments],
        "onset": [f"{moment.onset_s:.2f} s" for moment in moments],
        "apex": [f"{moment.apex_s:.2f} s" for moment in moments],
        "offset": [f"{moment.offset_s:.2f} s" for moment in moments],
        "person": [moment.identity or "" for moment in moments],
    }
    return columns(cells, "clip", [short_path(moment.clip) for moment in moments])
