"""``ferkit embed``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferkit.cli.checks import require_names
from ferkit.cli.options import DeviceOpt, EncoderOpt, JsonOpt, PartOpt, in_parts, optional, with_settings
from ferkit.cli.output import escape, run_and_report
from ferkit.cli.words import count_of, count_pictures, problem_lines, shell_path
from ferkit.encoders import DEFAULT_ENCODER
from ferkit.encoders.runtimes import FLOAT32
from ferkit.errors import InputError
from ferkit.pipeline.engine import PartSettings
from ferkit.pipeline.face_options import READING, SEARCH_FPS, FaceOptions

if TYPE_CHECKING:
    from ferkit.workflows.embed import EmbedPartsResult, EmbedResult


@with_settings(PartSettings, FaceOptions)
def embed(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="SOURCE",
            help="A face set; or photos, face crops and videos in any form that `ferkit align` takes.",
            show_default="faces",
        ),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="The vectors; .parquet and .json are written beside them. In parts: a folder."
        ),
    ] = Path("emb.npy"),
    encoder: EncoderOpt = DEFAULT_ENCODER,
    batch_size: Annotated[int, typer.Option(min=1, help="Faces per pass through the network.")] = 64,
    device: DeviceOpt = None,
    runtime: Annotated[
        str | None,
        optional(
            "What computes the vectors; the last two on the CPU.",
            metavar="torch|onnx|openvino",
            default="openvino or onnx for 2,000 pictures or more on the CPU, if installed",
        ),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(metavar="float32|int8", help="int8, on the CPU, is calibrated on the first 300 faces."),
    ] = FLOAT32,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Embed everything anew, even what the set knows already.")
    ] = False,
    fps: Annotated[
        float | None,
        optional(
            "Frames per second of video to look at; 0 takes every frame.", default=f"{SEARCH_FPS:g}", panel=READING
        ),
    ] = None,
    part: PartOpt = None,
    json: JsonOpt = False,
    **options: object,
) -> None:
    """Turn every face into a vector; run again, it embeds only what is new or changed."""
    arguments = dict(locals())
    require_names(sources, encoder=encoder)
    from ferkit.workflows.embed import embed as run
    from ferkit.workflows.embed import embed_parts

    if not in_parts(options):
        run_and_report(run, arguments, _summary)
        return
    if fresh:
        raise InputError("parts that are there are not made anew; remove their folder, or leave out --fresh")
    del arguments["fresh"], arguments["part"]
    run_and_report(embed_parts, arguments, _summary_of_parts)


def _made(result: EmbedResult | EmbedPartsResult) -> str:
    faces = f"{count_of(result.faces, 'face')} of {count_pictures(result.pictures, result.unit)}"
    return f"[bold]{escape(str(result.path))}[/]: {faces} by {escape(result.encoder)}"


def _summary_of_parts(result: EmbedPartsResult) -> str:
    return (
        f"{_made(result)}, {result.made} of {count_of(result.parts, 'part')} made in {result.seconds:.1f} s\n"
        f"next: [bold]ferkit retrieve QUERY.jpg --set {shell_path(result.path)}[/]"
    )


def _summary(result: EmbedResult) -> str:
    lines = [f"{_made(result)} in {result.seconds:.1f} s ({result.rate:.0f} faces/s)", *problem_lines(result)]
    there = "" if str(result.path) == "emb.npy" else f" --set {shell_path(result.path)}"
    return "\n".join([*lines, f"next: [bold]ferkit retrieve QUERY.jpg{there}[/]"])
