"""``ferkit compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferkit.cli.checks import require_names
from ferkit.cli.options import DeviceOpt, EncoderOpt, JsonOpt, optional, with_face_options
from ferkit.cli.output import escape, run_and_report
from ferkit.encoders import DEFAULT_ENCODER

if TYPE_CHECKING:
    from ferkit.workflows.compare import Comparison


@with_face_options(["aligned", "min_face", "max_side", "thresholds"])
def compare(
    first: Annotated[Path, typer.Argument(metavar="A.jpg", help="A photo of a face, or a face crop.")],
    second: Annotated[Path, typer.Argument(metavar="B.jpg", help="Another.")],
    encoder: EncoderOpt = DEFAULT_ENCODER,
    face: Annotated[int | None, optional("Which face of A, from 1, left to right.", default="the largest")] = None,
    other_face: Annotated[int | None, optional("Which face of B.", default="the largest")] = None,
    device: DeviceOpt = None,
    json: JsonOpt = False,
    **options: object,
) -> None:
    """Say how likely two photos show the same expression."""
    arguments = dict(locals())
    require_names(first, second, encoder=encoder)
    from ferkit.workflows.compare import compare as run

    run_and_report(run, arguments, _summary)


def _summary(result: Comparison) -> str:
    known = "" if result.probability is None else f"same expression with a probability of {result.probability:.2f}, "
    return f"{known}cosine {result.cosine:.3f}, by {escape(result.encoder)}"
