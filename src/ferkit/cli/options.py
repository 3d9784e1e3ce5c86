"""Arguments and options that several commands share, each stated once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SourcesArg = Annotated[
    list[Path],
    typer.Argument(
        metavar="SOURCE",
        help="Photos, folders of them (searched recursively), parquet files with an image column, or face sets.",
        show_default=True,
    ),
]
AlignedOpt = Annotated[
    bool | None,
    typer.Option(
        "--aligned/--detect",
        help="Take the images as face crops, or search them for faces.",
        show_default="crops if small, square and alike",
    ),
]
EncoderOpt = Annotated[
    str,
    typer.Option("--encoder", "-e", help="A name of `ferkit models list`, a run folder, or a .safetensors file."),
]
DeviceOpt = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps.", show_default="the best one present")]
JsonOpt = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
OverwriteOpt = Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")]
MinFaceOpt = Annotated[
    float,
    typer.Option(
        "--min-face",
        help="Side of the smallest face to look for: pixels (of photos decoded at 1600 px or more), or below 1 a share "
        "of the photo's shorter side.",
    ),
]
