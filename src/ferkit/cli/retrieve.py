"""``ferkit retrieve``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ferkit.cli.checks import require_names
from ferkit.cli.options import DeviceOpt, JsonOpt, MovedEncoderOpt, with_face_options, with_settings
from ferkit.cli.output import ProgressBar, escape, run_and_report, short_path
from ferkit.cli.words import answer_lines, columns
from ferkit.pipeline.face_options import FILTERS
from ferkit.search.retrieve_settings import RetrieveSettings, require_rule

if TYPE_CHECKING:
    from ferkit.search.hits import Hit
    from ferkit.workflows.retrieve import RetrieveResult


@with_face_options(["aligned", "min_face", "max_side", "thresholds", *FILTERS])
@with_settings(RetrieveSettings)
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
    encoder: MovedEncoderOpt = None,
    device: DeviceOpt = None,
    json: JsonOpt = False,
    **options: Any,  # noqa: ANN401
) -> None:
    """Find the faces that show the same expression."""
    arguments = dict(locals())
    named = [options[name] for name in ("negatives", "before", "after", "prototypes")]
    require_names(query, *named, encoder=encoder)
    require_rule(options["combine"])
    from ferkit.search.searcher import open_searcher

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
