"""``ferkit retrieve``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ferkit.cli.checks import require_names
from ferkit.cli.options import DeviceOpt, JsonOpt, MovedEncoderOpt, WhereOpt, optional, with_face_options
from ferkit.cli.output import ProgressBar, escape, run_and_report, short_path
from ferkit.cli.words import answer_lines, columns
from ferkit.pipeline.face_options import FILTERS

if TYPE_CHECKING:
    from ferkit.search.hits import Hit
    from ferkit.workflows.retrieve import RetrieveResult

_ASKING, _WHO = "Ways to ask", "Who may be found"
_asking, _who = partial(optional, panel=_ASKING), partial(optional, panel=_WHO)
_file = partial(optional, panel="Answers as files")


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
    k: Annotated[int, typer.Option("-k", min=1, help="How many faces to show.")] = 10,
    face: Annotated[
        int | None, optional("Which face of the query, from 1, left to right.", default="the largest")
    ] = None,
    negatives: Annotated[list[Path] | None, _asking("A photo that does not show it.", "--not", metavar="PHOTO")] = None,
    combine: Annotated[
        str, typer.Option(metavar="mean|best", help="How several examples are combined.", rich_help_panel=_ASKING)
    ] = "mean",
    like: Annotated[
        str | None, _asking("An expression, such as surprise; no photo is needed.", metavar="CLASS")
    ] = None,
    prototypes: Annotated[Path | None, _asking("A labelled set whose classes --like names.", metavar="SET.npy")] = None,
    before: Annotated[
        Path | None, _asking("With --to: what changed between two photos.", "--from", metavar="PHOTO")
    ] = None,
    after: Annotated[Path | None, _asking("The later photo.", "--to", metavar="PHOTO")] = None,
    rows: Annotated[list[int] | None, _asking("A row of the set.", "--row", metavar="N")] = None,
    source: Annotated[str | None, _asking("A picture of the set; --face says which face.", metavar="PHOTO")] = None,
    min_probability: Annotated[
        float | None, optional("Leave out what is less likely to show the same expression.", metavar="P")
    ] = None,
    exclude_query: Annotated[
        bool, typer.Option("--exclude-query/--include-query", help="Leave out the query and its copies.")
    ] = True,
    same_person: Annotated[
        str,
        typer.Option(metavar="exclude|only|any", help="What becomes of the query's person.", rich_help_panel=_WHO),
    ] = "any",
    one_per_person: Annotated[
        bool, typer.Option("--one-per-person", help="Show each person once.", rich_help_panel=_WHO)
    ] = False,
    identity: Annotated[str | None, _who("Who the query shows.", metavar="NAME", default="as the set says")] = None,
    exclude_identity: Annotated[str | None, _who("Leave out this person.", metavar="NAME")] = None,
    fold: Annotated[
        bool,
        typer.Option(
            "--fold/--all",
            help="Show copies of a photo and frames of a clip as one; `alike` counts them among the nearest.",
            rich_help_panel=_WHO,
        ),
    ] = True,
    where: WhereOpt = None,
    encoder: MovedEncoderOpt = None,
    device: DeviceOpt = None,
    montage: Annotated[Path | None, _file("Draw the query and the faces found.", metavar="OUT.png")] = None,
    faces_sheet: Annotated[Path | None, _file("Draw the query's faces with their numbers.", metavar="OUT.png")] = None,
    csv: Annotated[Path | None, _file("A table of them.", metavar="OUT.csv")] = None,
    parquet: Annotated[Path | None, _file("The same as parquet.", metavar="OUT.parquet")] = None,
    html: Annotated[Path | None, _file("A page that needs no other file.", metavar="OUT.html")] = None,
    copy_to: Annotated[Path | None, _file("Copies of the photos found, in order.", metavar="FOLDER")] = None,
    explain: Annotated[Path | None, _file("Draw where the likeness comes from.", metavar="OUT.png")] = None,
    json: JsonOpt = False,
    **options: Any,  # noqa: ANN401
) -> None:
    """Find the faces that show the same expression."""
    arguments = dict(locals())
    require_names(query, negatives, before, after, prototypes, encoder=encoder)
    from ferkit.search.queries import require_rule
    from ferkit.search.searcher import open_searcher

    require_rule(combine)
    with ProgressBar() as progress:
        open_searcher(embeddings, encoder, device, progress)  # stays open; what is wrong with it is told at once
    from ferkit.workflows.retrieve import retrieve as run

    run_and_report(run, arguments, _summary)


def _summary(result: RetrieveResult) -> Iterator[str]:
    from ferkit.report.answers import no_good_match

    if poor := no_good_match(result.hits):
        yield f"[yellow]{escape(poor)}[/]"
    which = f" (face {result.face} of {result.faces})" if result.faces else ""
    head = (
        f"the {len(result.hits)} closest of {result.searched:,} faces to [bold]{escape(result.query)}[/]{which}, by "
        f"{escape(result.encoder)}"
    )
    if result.hits:
        yield from answer_lines(head, _table(result.hits), result.outputs)
    else:
        yield from (head, "no face is left: ask for less")


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
    kinds = {"picture" if hit.time_s is None else "frame": None for hit in hits}
    return columns(cells, " or ".join(kinds), [short_path(hit.source) for hit in hits])
