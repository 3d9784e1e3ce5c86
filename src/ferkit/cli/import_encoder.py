"""ferkit models import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ferkit.cli.options import JsonOpt
from ferkit.cli.output import report
from ferkit.cli.words import typed
from ferkit.encoders.importing.origins import ORIGINS, Supervision

__all__ = ["import_encoder"]


def import_encoder(
    file: Annotated[Path, typer.Argument(help="A .safetensors file, or a checkpoint that torch.save wrote.")],
    origin: Annotated[
        str, typer.Option("--from", metavar="ORIGIN", help=f"The code that wrote it: {', '.join(ORIGINS)}.")
    ],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder.", show_default="encoders/NAME")] = None,
    arch: Annotated[
        str | None, typer.Option(help="The network's name in timm.", show_default="found by the shapes")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Of the encoder.", show_default="ORIGIN-ARCH")] = None,
    input_size: Annotated[
        int | None,
        typer.Option(min=8, help="Side of the network's images in pixels.", show_default="what it was trained with"),
    ] = None,
    supervision: Annotated[
        Supervision | None,
        typer.Option(help="What it learnt from.", show_default="what the method of --from does"),
    ] = None,
    register: Annotated[
        bool, typer.Option("--register", help="Add it to your own models file, the first of FERKIT_MODELS.")
    ] = False,
    json: JsonOpt = False,
) -> None:
    """Make an encoder of weights that others published; no code in the file is ever run."""
    from ferkit.workflows.import_encoder import import_encoder as run

    result = run(
        file, origin, out, arch=arch, name=name, input_size=input_size, supervision=supervision, register=register
    )
    entry = result.entry
    dropped = ", ".join(f"{count} of {part}" for part, count in result.dropped.items())
    entries = result.registered or result.folder / "encoder.yaml"
    lines = [
        f"[bold]{escape(entry.name)}[/]: {entry.arch}, vectors of {entry.dim}, {entry.input_size} px",
        f"left out: {escape(dropped)}" if dropped else "",
        f"written: {escape(str(result.folder))}",
        f"its licences and training faces are not in the file: state them in {escape(str(entries))}",
        f"next: ferkit embed faces/ -e {typed(entry.name if result.registered else result.folder)}",
    ]
    fields = {"folder": result.folder, "dropped": result.dropped, "registered": result.registered}
    report("\n".join(filter(None, lines)), {**fields, "entry": entry.model_dump(mode="json")}, json=json)
