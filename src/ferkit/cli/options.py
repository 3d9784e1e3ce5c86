"""Arguments and options that several commands share, each stated once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from ferkit.pipeline.face_options import FaceOptions

__all__ = [
    "FACE_OPTIONS",
    "FILTERS",
    "DeviceOpt",
    "EncoderOpt",
    "JsonOpt",
    "KnownArg",
    "OverwriteOpt",
    "SourcesArg",
    "with_face_options",
]

Command = TypeVar("Command", bound=Callable[..., None])

SourcesArg = Annotated[
    list[Path],
    typer.Argument(
        metavar="SOURCE",
        help="Photos and videos, folders of them (searched recursively), globs, lists, CSV or parquet files, zip or "
        "tar archives.",
        show_default=True,
    ),
]
EncoderOpt = Annotated[
    str,
    typer.Option(
        "--encoder",
        "-e",
        help="A name of `ferkit models list`, a run folder, a .safetensors file, or hf-hub:USER/NAME.",
    ),
]
KnownArg = Annotated[
    str,
    typer.Argument(metavar="NAME|RUN", help="A name of `ferkit models list`, a run folder, or a .safetensors file."),
]
DeviceOpt = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps.", show_default="the best one present")]
JsonOpt = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
OverwriteOpt = Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")]


def _parse_columns(text: str) -> dict[str, str]:
    """``image=path,label=emotion`` as a mapping."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    if any(not (name and column) for name, _, column in pairs):
        raise typer.BadParameter(f"{text!r} is not NAME=COLUMN,NAME=COLUMN, such as image=path,label=emotion")
    return {name.strip(): column.strip() for name, _, column in pairs}


def _parse_threshold(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number; give three, such as 0.6 0.7 0.7") from None


_READING, _FINDING, _CHOOSING = "Reading sources", "Finding faces", "Leaving faces out"

FACE_OPTIONS: Mapping[str, Any] = {
    "aligned": Annotated[
        bool | None,
        typer.Option(
            "--aligned/--detect",
            help="Take the images as face crops, or search them for faces.",
            show_default="crops if small, square and alike",
            rich_help_panel=_READING,
        ),
    ],
    "layout": Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The source is this data set as its authors distribute it: raf-db, affectnet, ferplus, …",
            show_default=False,
            rich_help_panel=_READING,
        ),
    ],
    "label_from": Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="Take labels from the path: the first group, or the one named `label`.",
            show_default="class folders, columns",
            rich_help_panel=_READING,
        ),
    ],
    "identity_from": Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="Take identities from the path: the first group, or the one named `identity`.",
            show_default="columns",
            rich_help_panel=_READING,
        ),
    ],
    "columns": Annotated[
        dict,
        typer.Option(
            metavar="NAME=COLUMN,…",
            help="Columns of a table whose names do not speak for themselves, such as image=pth,label=emo.",
            parser=_parse_columns,
            show_default=False,
            rich_help_panel=_READING,
        ),
    ],
    "fps": Annotated[
        float | None,
        typer.Option(
            help="Frames per second of video to look at.", show_default="every frame", rich_help_panel=_READING
        ),
    ],
    "workers": Annotated[
        int | None,
        typer.Option(
            min=1, help="Threads that decode and search.", show_default="one per core", rich_help_panel=_READING
        ),
    ],
    "min_face": Annotated[
        float,
        typer.Option(
            help="Side of the smallest face to look for: pixels (of photos decoded at 1600 px or more), or below 1 a "
            "share of the photo's shorter side.",
            rich_help_panel=_FINDING,
        ),
    ],
    "max_side": Annotated[
        int | None,
        typer.Option(
            help="Search photos at no more than this longer side in pixels.",
            show_default="as decoded",
            rich_help_panel=_FINDING,
        ),
    ],
    "thresholds": Annotated[
        tuple[float, float, float],
        typer.Option(
            metavar="P P P",
            help="Probabilities to pass the detector's three stages.",
            parser=_parse_threshold,
            rich_help_panel=_FINDING,
        ),
    ],
    "faces": Annotated[
        str,
        typer.Option(metavar="all|largest|center", help="Which faces of a picture to take.", rich_help_panel=_FINDING),
    ],
    "min_size": Annotated[
        float | None,
        typer.Option(
            help="Leave out faces smaller than this, in pixels of the photo.",
            show_default="none",
            rich_help_panel=_CHOOSING,
        ),
    ],
    "max_yaw": Annotated[
        float | None,
        typer.Option(
            help="Leave out heads turned further than this, in degrees.",
            show_default="none",
            rich_help_panel=_CHOOSING,
        ),
    ],
    "min_sharpness": Annotated[
        float | None,
        typer.Option(
            help="Leave out crops less sharp than this (`ferkit faces info` shows what is usual).",
            show_default="none",
            rich_help_panel=_CHOOSING,
        ),
    ],
}
"""What `FaceOptions` holds, as the command line offers it."""

FILTERS = ("min_size", "max_yaw", "min_sharpness")
"""Those that leave out faces, of photos as of sets."""


def with_face_options(names: Iterable[str] = tuple(FACE_OPTIONS)) -> Callable[[Command], Command]:
    """Give a command that ends in ``**options`` the named fields of `FaceOptions`, with their defaults."""
    wanted = set(names)
    shared = [_parameter(field) for field in fields(FaceOptions) if field.name in wanted]

    def give(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        own = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
        command.__signature__ = signature.replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *shared]}
        return command

    return give


def _parameter(field: Field[Any]) -> inspect.Parameter:
    default = "" if field.default is MISSING else field.default  # the columns, as they would be typed
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=FACE_OPTIONS[field.name]
    )
