"""``ferkit models export``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from ferkit.cli.options import JsonOpt
from ferkit.cli.output import ProgressBar, report

if TYPE_CHECKING:
    from ferkit.workflows.export import ExportResult

__all__ = ["export"]


def export(
    name: Annotated[
        str,
        typer.Argument(help="A name of `ferkit models list`, a run folder, a .safetensors file or hf-hub:USER/NAME."),
    ],
    format: Annotated[
        str, typer.Option("--format", "-f", metavar="onnx|openvino|torchscript|safetensors", help="What to write.")
    ] = "onnx",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="The file; for openvino and safetensors a folder.", show_default="named after NAME"
        ),
    ] = None,
    json: JsonOpt = False,
) -> None:
    """Write an encoder for other programs: face crops in, vectors out; checked against PyTorch."""
    from ferkit.workflows.export import export_encoder as run

    with ProgressBar() as progress:
        result = run(name, format, out, progress=progress)
    report(_summary(result), asdict(result), json=json)


def _summary(result: ExportResult) -> str:
    return "\n".join(
        [
            f"[bold]{escape(str(result.path))}[/]: {escape(result.encoder)} as {result.format},"
            f" {result.bytes / 1e6:.1f} MB",
            f"parity with torch on {result.crops} crops: largest difference {result.difference:.1e},"
            f" least cosine {result.cosine:.6f}",
            f"takes {escape(result.input)}",
            f"gives {escape(result.output)}",
        ]
    )
