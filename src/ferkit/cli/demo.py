"""``ferkit demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ferkit.cli.options import DeviceOpt, EncoderOpt, JsonOpt
from ferkit.cli.output import escape, run_and_report
from ferkit.cli.words import shell_path
from ferkit.encoders import DEFAULT_ENCODER

if TYPE_CHECKING:
    from ferkit.workflows.demo import DemoResult


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for everything the demo leaves.")] = Path("demo"),
    encoder: EncoderOpt = DEFAULT_ENCODER,
    device: DeviceOpt = None,
    json: JsonOpt = False,
) -> None:
    """See the whole way on four public-domain portraits; no data needed."""
    arguments = dict(locals())
    from ferkit.web.server import has_desktop
    from ferkit.workflows.demo import demo as run

    result = run_and_report(run, arguments, _summary, _fields)
    if not json and has_desktop():
        typer.launch(result.page.resolve().as_uri())


def _summary(result: DemoResult) -> str:
    return "\n\n".join([_story(result), _answers(result), _film(result), _score(result), _what_next(result)])


def _story(result: DemoResult) -> str:
    return f"""\
The faces of four portraits were found and aligned. With the vectors of [bold]{escape(result.encoder)}[/] each of them
then asked for other people's faces that show the same expression: as photographed, and bent by ferkit's local warp."""


def _answers(result: DemoResult) -> str:
    return "\n".join(
        f"  {query.person:14}  {query.expression.removeprefix('photo: '):12}  finds "
        f"{query.found[0].expression.removeprefix('photo: '):12}  of {query.found[0].person}"
        for query in result.rounds[0].rankings
    )


def _film(result: DemoResult) -> str:
    from ferkit.workflows.demo import scene_words

    scenes = [f"  {escape(scene_words(scene))}" for scene in result.scenes]
    return "\n".join([f"In {escape(str(result.film))}, a film made of Grace Hopper's portrait:", *scenes])


def _score(result: DemoResult) -> str:
    *strong, weak = result.rounds
    lines = [f"  {each.first} of {len(each.rankings)} {each.title} (chance: {each.chance:.1f})" for each in strong]
    return "\n".join(
        [
            "[bold]Queries that find the same expression first:[/]",
            *lines,
            "What the encoder was not taught it tells less well:",
            f"  {weak.first} of {len(weak.rankings)} {weak.title} (chance: {weak.chance:.1f})",
            f"Four portraits illustrate and measure nothing; measured figures: `ferkit models show {DEFAULT_ENCODER}`.",
        ]
    )


def _what_next(result: DemoResult) -> str:
    query = result.queries / "grace-hopper-smile.png"
    return f"""\
Look at
  {escape(str(result.page))}: a page of all pictures, for any browser
  {escape(str(result.gallery))}: every query and whom it found
  {escape(str(result.preview))}: what pre-training does to a face

Try next
  ferkit retrieve {shell_path(query)} --set {shell_path(result.embeddings)} --exclude-identity "Grace Hopper"
  ferkit moments {shell_path(result.film)} --like {shell_path(result.queries / "eileen-collins-photo.png")}
  ferkit align photos/ -o faces/     find and align every face of your own photos
  ferkit embed faces/ -o emb.npy     one vector a face
  ferkit retrieve query.jpg          the faces that show the same expression
  ferkit pretrain faces/             an encoder of your own, without labels"""


def _fields(result: DemoResult) -> dict[str, Any]:
    names = ("out", "encoder", "gallery", "embeddings", "film", "page")
    return {
        **{name: getattr(result, name) for name in names},
        "warp_preview": result.preview,
        "scenes": [scene._asdict() for scene in result.scenes],
        "rounds": [
            {
                "title": each.title,
                "queries": len(each.rankings),
                "first": each.first,
                "first_by_chance": round(each.chance, 3),
                "rankings": [
                    {**vars(one), "rank": one.rank, "found": [answer._asdict() for answer in one.found]}
                    for one in each.rankings
                ],
            }
            for each in result.rounds
        ],
    }
