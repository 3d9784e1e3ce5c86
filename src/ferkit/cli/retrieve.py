"""``ferkit retrieve``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ferkit.cli.checks import require_names
from ferkit.cli.options import DeviceOpt, JsonOpt, WhereOpt, with_face_options
from ferkit.cli.output import ProgressBar, escape, report, short_path
from ferkit.cli.words import columns
from ferkit.pipeline.face_options import FILTERS

if TYPE_CHECKING:
    from ferkit.search.hits import Hit
    from ferkit.workflows.retrieve import RetrieveResult

_ASKING, _WHO, _ANSWERS = "Ways to ask", "Who may be found", "Answers as files"


def _file(metavar: str, text: str) -> Any:  # noqa: ANN401 (typer's)
    return typer.Option(metavar=metavar, help=text, show_default=False, rich_help_panel=_ANSWERS)


@with_face_options(["aligned", "min_face", "max_side", "thresholds", *FILTERS])
def retrieve(
    query: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="QUERY",
            help="Photos of a face, face crops, or places as ferkit prints them (clip.mp4#209); - is standard input.",
            show_default=False,
        ),
    ] = None,
    embeddings: Annotated[
        Path, typer.Option("--set", "-s", metavar="EMB.npy", help="Embedding set to search, of `ferkit embed`.")
    ] = Path("emb.npy"),
    k: Annotated[int, typer.Option("-k", help="How many faces to show.")] = 10,
    face: Annotated[
        int | None,
        typer.Option(help="Which face of the query, from 1, left to right.", show_default="the largest"),
    ] = None,
    negatives: Annotated[
        list[Path] | None,
        typer.Option("--not", metavar="PHOTO", help="A photo that does not show it.", rich_help_panel=_ASKING),
    ] = None,
    combine: Annotated[
        str, typer.Option(metavar="mean|best", help="How several examples are combined.", rich_help_panel=_ASKING)
    ] = "mean",
    like: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS", help="An expression, such as surprise; no photo is needed.", rich_help_panel=_ASKING
        ),
    ] = None,
    prototypes: Annotated[
        Path | None,
        typer.Option(
            metavar="SET.npy",
            help="A labelled set whose classes --like names.",
            rich_help_panel=_ASKING,
            show_default=False,
        ),
    ] = None,
    before: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="PHOTO", help="With --to: what changed between two photos.", rich_help_panel=_ASKING
        ),
    ] = None,
    after: Annotated[
        Path | None, typer.Option("--to", metavar="PHOTO", help="The later photo.", rich_help_panel=_ASKING)
    ] = None,
    rows: Annotated[
        list[int] | None, typer.Option("--row", metavar="N", help="A row of the set.", rich_help_panel=_ASKING)
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="PHOTO", help="A picture of the set; --face says which face.", rich_help_panel=_ASKING),
    ] = None,
    min_probability: Annotated[
        float | None,
        typer.Option(
            metavar="P", help="Leave out what is less likely to show the same expression.", show_default=False
        ),
    ] = None,
    exclude_query: Annotated[
        bool, typer.Option("--exclude-query/--include-query", help="Leave the query itself out of what is found.")
    ] = True,
    same_person: Annotated[
        str,
        typer.Option(metavar="exclude|only|any", help="What becomes of the query's person.", rich_help_panel=_WHO),
    ] = "any",
    one_per_person: Annotated[
        bool, typer.Option("--one-per-person", help="Show each person once.", rich_help_panel=_WHO)
    ] = False,
    identity: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who the query shows.", show_default="as the set says", rich_help_panel=_WHO),
    ] = None,
    exclude_identity: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Leave out this person.", show_default=False, rich_help_panel=_WHO),
    ] = None,
    fold: Annotated[
        bool,
        typer.Option("--fold/--all", help="Show copies of a photo and frames of a clip as one.", rich_help_panel=_WHO),
    ] = True,
    where: WhereOpt = None,
    encoder: Annotated[
        str | None,
        typer.Option("--encoder", "-e", help="Where the set's encoder lies now.", show_default="as the set says"),
    ] = None,
    device: DeviceOpt = None,
    montage: Annotated[Path | None, _file("OUT.png", "Draw the query and the faces found.")] = None,
    faces_sheet: Annotated[Path | None, _file("OUT.png", "Draw the query's faces with their numbers.")] = None,
    csv: Annotated[Path | None, _file("OUT.csv", "A table of them.")] = None,
    parquet: Annotated[Path | None, _file("OUT.parquet", "The same as parquet.")] = None,
    html: Annotated[Path | None, _file("OUT.html", "A page that needs no other file.")] = None,
    copy_to: Annotated[Path | None, _file("FOLDER", "Copies of the photos found, in order.")] = None,
    explain: Annotated[Path | None, _file("OUT.png", "Draw where the likeness comes from.")] = None,
    json: JsonOpt = False,
    **options: Any,  # noqa: ANN401
) -> None:
    """Find the faces that show the same expression."""
    require_names(query, negatives, before, after, prototypes, encoder=encoder)
    from ferkit.search.searcher import open_searcher

    with ProgressBar() as progress:
        open_searcher(embeddings, encoder, device, progress)  # stays open; what is wrong with it is told at once
        from ferkit.workflows.retrieve import retrieve as run

        result = run(
            query or [],
            embeddings,
            negatives=negatives or [],
            rows=rows or [],
            source=source,
            like=like,
            prototypes=prototypes,
            before=before,
            after=after,
            combine=combine,
            k=k,
            face=face,
            min_probability=min_probability,
            exclude_query=exclude_query,
            same_person=same_person,
            one_per_person=one_per_person,
            fold=fold,
            identity=identity,
            exclude_identity=exclude_identity,
            where=where,
            encoder=encoder,
            device=device,
            montage=montage,
            faces_sheet=faces_sheet,
            csv=csv,
            parquet=parquet,
            html=html,
            copy_to=copy_to,
            explain=explain,
            progress=progress,
            **options,
        )
    report("\n".join(_summary(result)), asdict(result), json=json)


def _summary(result: RetrieveResult) -> Iterator[str]:
    from ferkit.report.answers import no_good_match

    if poor := no_good_match(result.hits):
        yield f"[yellow]{escape(poor)}[/]"
    which = f" (face {result.face} of {result.faces})" if result.faces else ""
    yield (
        f"the {len(result.hits)} closest of {result.searched:,} faces to [bold]{escape(result.query)}[/]{which}, by "
        f"{escape(result.encoder)}"
    )
    if not result.hits:
        yield "no face is left: ask for less"
        return
    title, *lines = _table(result.hits)
    yield f"[dim]{title}[/]"
    yield from map(escape, lines)
    for name, path in result.outputs.items():
        yield f"{name}: [bold]{escape(str(path))}[/]"


def _table(hits: Sequence[Hit]) -> list[str]:
    cells = {
        "rank": [str(hit.rank) for hit in hits],
        "score": [f"{hit.score:.3f}" for hit in hits],
        "same": ["" if hit.probability is None else f"{hit.probability:.2f}" for hit in hits],
        "above": [f"{hit.percentile:.2f}%" for hit in hits],
        "alike": ["" if hit.count == 1 else str(hit.count) for hit in hits],
        "face": [str(hit.face) for hit in hits],
        "time": ["" if hit.time_s is None else f"{hit.time_s:.2f} s" for hit in hits],
        "label": [hit.label or "" for hit in hits],
    }
    return columns(cells, "picture", [short_path(hit.source) for hit in hits])
