"""``ferkit best``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferkit.cli.checks import require_names
from ferkit.cli.options import (
    DeviceOpt,
    JsonOpt,
    KeepOpt,
    LikeFaceOpt,
    LikeOpt,
    SetEncoderOpt,
    optional,
    with_face_options,
)
from ferkit.cli.output import escape, run_and_report, short_path
from ferkit.cli.words import answer_lines, columns, count_of

if TYPE_CHECKING:
    from ferkit.workflows.best import BestResult, BestShot


@with_face_options()
def best(
    sources: Annotated[
        list[Path], typer.Argument(metavar="PHOTO…|EMB.npy", help="Photos, or an embedding set of photos.")
    ],
    like: LikeOpt,
    face: LikeFaceOpt = None,
    burst_seconds: Annotated[
        float, typer.Option(min=0, help="At most between two photos of a burst, by their EXIF times.")
    ] = 3.0,
    keep: KeepOpt = None,
    sheet: Annotated[Path | None, optional("Draw the best faces.", metavar="OUT.png")] = None,
    csv: Annotated[Path | None, optional("Write the choice as a table.", metavar="OUT.csv")] = None,
    copy_to: Annotated[Path | None, optional("Copy the photos chosen into a new folder.", metavar="DIR")] = None,
    encoder: SetEncoderOpt = None,
    device: DeviceOpt = None,
    json: JsonOpt = False,
    **options: object,
) -> None:
    """Choose the best photo of every burst: the face that shows an expression most clearly."""
    arguments = dict(locals())
    require_names(sources, encoder=encoder, like=like)
    from ferkit.workflows.best import best as run

    run_and_report(run, arguments, _summary)


def _summary(result: BestResult) -> list[str]:
    head = (
        f"{count_of(len(result.shots), 'burst')} of {count_of(result.photos, 'photo')}, the best of each like"
        f" [bold]{escape(result.like)}[/], by {escape(result.encoder)}"
    )
    return answer_lines(head, _table(result.shots, result.measure), result.outputs)


def _table(shots: list[BestShot], measure: str) -> list[str]:
    cells = {
        "burst": [str(shot.burst) for shot in shots],
        "photos": [str(shot.photos) for shot in shots],
        "face": [str(shot.face) for shot in shots],
        measure: [f"{shot.score:.3f}" for shot in shots],
        "sharp": [f"{shot.sharpness:.2f}" for shot in shots],
        "size": [f"{shot.size:.0f} px" for shot in shots],
        "yaw": ["" if shot.yaw is None else f"{shot.yaw:.0f}°" for shot in shots],
        "pitch": ["" if shot.pitch is None else f"{shot.pitch:.0f}°" for shot in shots],
        "why": [shot.reasons for shot in shots],
    }
    return columns(cells, "photo", [short_path(shot.source) for shot in shots])
