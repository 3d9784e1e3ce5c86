"""``ferkit export``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ferkit.cli.options import JsonOpt, optional
from ferkit.cli.output import escape, run_and_report
from ferkit.cli.words import count_of

if TYPE_CHECKING:
    from ferkit.workflows.export import ExportResult


def export(
    embeddings: Annotated[
        Path, typer.Argument(metavar="EMB.npy", help="Embedding set to write, of `ferkit embed`.")
    ] = Path("emb.npy"),
    to: Annotated[
        str, typer.Option(metavar="parquet|embedding-atlas|fiftyone|qdrant", help="What shall open it.")
    ] = "parquet",
    out: Annotated[
        Path | None,
        optional("File, folder, or address of a Qdrant server.", "--out", "-o", default="named after the set"),
    ] = None,
    json: JsonOpt = False,
) -> None:
    """Write an embedding set for other tools: vectors, thumbnails, columns and a map."""
    arguments = dict(locals())
    from ferkit.workflows.export import export as run

    run_and_report(run, arguments, _summary)


def _summary(result: ExportResult) -> str:
    lines = [f"[bold]{escape(str(result.path))}[/]: {count_of(result.faces, 'face')}, {result.bytes / 1e6:.1f} MB"]
    if result.without_picture:
        lines.append(f"without a thumbnail, since their pictures are gone or changed: {result.without_picture:,}")
    return "\n".join([*lines, f"open it: [bold]{escape(result.open_with)}[/]"])
