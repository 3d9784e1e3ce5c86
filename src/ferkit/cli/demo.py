"""``ferkit demo``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ferkit.cli.options import DeviceOpt, EncoderOpt, JsonOpt
from ferkit.cli.output import ProgressBar, escape, report
from ferkit.cli.words import typed
from ferkit.encoders import DEFAULT_ENCODER

if TYPE_CHECKING:
    from ferkit.workflows.demo import DemoResult

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for everything the demo leaves.")] = Path("demo"),
    encoder: EncoderOpt = DEFAULT_ENCODER,
    device: DeviceOpt = None,
    json: JsonOpt = False,
) -> None:
    """See the whole way on two public-domain portraits; no data needed."""
    from ferkit.workflows.demo import demo as run

    with ProgressBar() as progress:
        result = run(out, encoder=encoder, device=device, progress=progress)
    report(_summary(result), _fields(result), json=json)


def _summary(result: DemoResult) -> str:
    return "\n\n".join([_story(result), _answers(result), _score(result), _what_next(result)])


def _story(result: DemoResult) -> str:
    faces, encoder = len(result.rankings), escape(result.encoder)
    return f"""\
The faces of two portraits were found and aligned, and ferkit's local warp bent each into {faces // 2} expressions.
With the vectors of [bold]{encoder}[/], each of the {faces} faces then asked for the other person's face that shows the
same expression:"""


def _answers(result: DemoResult) -> str:
    return "\n".join(
        f"  {query.person:14}  {query.expression:11}  finds {query.found[0]:11}  own expression at rank {query.rank}"
        for query in result.rankings
    )


def _score(result: DemoResult) -> str:
    queries, expected = len(result.rankings), f"{result.chance_first:g}"
    return f"""\
[bold]{result.first} of {queries} queries find the same expression first (chance: {expected}); its mean rank is \
{result.mean_rank:.2f} (chance: {result.chance_rank:g}).[/]
Two portraits illustrate and measure nothing; measured figures: `ferkit models show {DEFAULT_ENCODER}`."""


def _what_next(result: DemoResult) -> str:
    query = result.queries / "grace-hopper-smile.png"
    return f"""\
Look at
  {escape(str(result.gallery))}: every query and whom it found
  {escape(str(result.preview))}: what pre-training does to a face

Try next
  ferkit retrieve {typed(query)} --set {typed(result.embeddings)} --exclude-identity "Grace Hopper"
  ferkit align photos/ -o faces/     find and align every face of your own photos
  ferkit embed faces/ -o emb.npy     one vector a face
  ferkit retrieve query.jpg          the faces that show the same expression
  ferkit pretrain faces/             an encoder of your own, without labels"""


def _fields(result: DemoResult) -> dict[str, Any]:
    return {
        "out": str(result.out),
        "encoder": result.encoder,
        "gallery": str(result.gallery),
        "warp_preview": str(result.preview),
        "embeddings": str(result.embeddings),
        "queries": len(result.rankings),
        "first": result.first,
        "first_by_chance": result.chance_first,
        "mean_rank": result.mean_rank,
        "mean_rank_by_chance": result.chance_rank,
        "rankings": [
            {"person": r.person, "expression": r.expression, "found": r.found, "scores": r.scores, "rank": r.rank}
            for r in result.rankings
        ],
    }
