"""``ferkit retrieve``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ferkit.cli.options import DeviceOpt, JsonOpt, WhereOpt, with_face_options
from ferkit.cli.output import ProgressBar, escape, report, short_path
from ferkit.cli.words import columns
from ferkit.pipeline.face_options import FILTERS

if TYPE_CHECKING:
    from ferkit.workflows.retrieve import Hit, RetrieveResult

__all__ = ["retrieve"]


@with_face_options(["aligned", "min_face", "max_side", "thresholds", *FILTERS])
def retrieve(
    query: Annotated[
        Path,
        typer.Argument(
            metavar="QUERY", help="A photo of a face, a face crop, or a place as ferkit prints it: clip.mp4#209."
        ),
    ],
    embeddings: Annotated[
        Path, typer.Option("--set", "-s", metavar="EMB.npy", help="Embedding set to search, of `ferkit embed`.")
    ] = Path("emb.npy"),
    k: Annotated[int, typer.Option("-k", help="How many faces to show.")] = 10,
    face: Annotated[
        int | None,
        typer.Option(help="Which face of the query, from 1, left to right.", show_default="the largest"),
    ] = None,
    exclude_query: Annotated[
        bool, typer.Option("--exclude-query/--include-query", help="Leave the query itself out of what is found.")
    ] = True,
    exclude_identity: Annotated[
        str | None, typer.Option(metavar="NAME", help="Leave the faces of this person out.", show_default=False)
    ] = None,
    where: WhereOpt = None,
    encoder: Annotated[
        str | None,
        typer.Option("--encoder", "-e", help="Where the set's encoder lies now.", show_default="as the set says"),
    ] = None,
    device: DeviceOpt = None,
    montage: Annotated[
        Path | None,
        typer.Option(metavar="OUT.png", help="Draw the query and the faces found.", show_default=False),
    ] = None,
    faces_sheet: Annotated[
        Path | None,
        typer.Option(metavar="OUT.png", help="Draw the query's faces with their numbers.", show_default=False),
    ] = None,
    json: JsonOpt = False,
    **options: Any,  # noqa: ANN401
) -> None:
    """Find the faces that show the same expression."""
    from ferkit.workflows.retrieve import retrieve as run

    with ProgressBar() as progress:
        result = run(
            query,
            embeddings,
            k=k,
            face=face,
            exclude_query=exclude_query,
            exclude_identity=exclude_identity,
            where=where,
            encoder=encoder,
            device=device,
            montage=montage,
            faces_sheet=faces_sheet,
            progress=progress,
            **options,
        )
    report(_summary(result), asdict(result), json=json)


def _summary(result: RetrieveResult) -> str:
    head = (
        f"the {len(result.hits)} closest of {result.searched:,} faces to [bold]{escape(str(result.query))}[/]"
        f" (face {result.face} of {result.faces}), by {escape(result.encoder)}"
    )
    title, *lines = _table(result.hits)
    drawn = [f"drawn: [bold]{escape(str(result.montage))}[/]"] if result.montage else []
    return "\n".join([head, f"[dim]{title}[/]", *map(escape, lines), *drawn])


def _table(hits: Sequence[Hit]) -> list[str]:
    cells = {
        "rank": [str(hit.rank) for hit in hits],
        "score": [f"{hit.score:.3f}" for hit in hits],
        "face": [str(hit.face) for hit in hits],
        "time": ["" if hit.time_s is None else f"{hit.time_s:.2f} s" for hit in hits],
        "label": [hit.label or "" for hit in hits],
    }
    return columns(cells, "picture", [short_path(hit.source) for hit in hits])
