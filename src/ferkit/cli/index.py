"""``ferkit index``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferkit.cli.options import JsonOpt
from ferkit.cli.output import escape, run_and_report, short_path

if TYPE_CHECKING:
    from ferkit.workflows.index import IndexResult


def index(
    embeddings: Annotated[
        Path, typer.Argument(metavar="EMB.npy", help="Embedding set, of `ferkit embed`.", show_default=True)
    ] = Path("emb.npy"),
    kind: Annotated[
        str, typer.Option(metavar="auto|flat|hnsw|ivf|ivfpq|disk", help="What to build; flat removes what there is.")
    ] = "auto",
    memory: Annotated[str, typer.Option(metavar="SIZE", help="Most that the index may take.")] = "4GB",
    recall: Annotated[float, typer.Option(help="Share of the true 10 nearest that should come back.")] = 0.95,
    json: JsonOpt = False,
) -> None:
    """Make searching a large set faster: a file beside it that can be made anew at any time."""
    arguments = dict(locals())
    from ferkit.workflows.index import index as run

    run_and_report(run, arguments, partial(_summary, least=recall))


def _summary(result: IndexResult, least: float) -> str:
    if result.path is None:
        return escape(result.why)
    short = "" if result.recall >= least else f", below the {least:.1%} asked for"
    return (
        f"[bold]{escape(short_path(str(result.path)))}[/]: {escape(result.why)}\n"
        f"recall@10 {result.recall:.1%} of held-out queries{short}; {result.milliseconds:.1f} ms a query, "
        f"exact search {result.flat_milliseconds:.1f} ms; {result.bytes / 1e6:,.1f} MB"
    )
