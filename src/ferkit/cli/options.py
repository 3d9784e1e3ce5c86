"""Arguments and options that several commands share, each stated once."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import typer

from ferkit.cli import completion
from ferkit.pipeline.engine import PartSettings
from ferkit.pipeline.face_options import FaceOptions

Command = TypeVar("Command", bound=Callable[..., None])


def optional(
    text: str, *flags: str, metavar: str | None = None, default: str | bool = False, panel: str | None = None
) -> Any:  # noqa: ANN401 (typer's)
    """State an option that may be left out; ``default`` says what then holds."""
    return typer.Option(*flags, help=text, metavar=metavar, show_default=default, rich_help_panel=panel)


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
        autocompletion=completion.encoders,
    ),
]
SetEncoderOpt = Annotated[
    str | None, optional("As `ferkit embed` takes it.", "--encoder", "-e", default="the set's, or the default")
]
MovedEncoderOpt = Annotated[
    str | None, optional("Where the set's encoder lies now.", "--encoder", "-e", default="as the set says")
]
HeadOpt = Annotated[
    Path | None,
    optional("Classes of `ferkit probe … --save-head HEAD`.", metavar="HEAD", default="the encoder's"),
]
KnownArg = Annotated[
    str,
    typer.Argument(
        metavar="NAME|RUN",
        help="A name of `ferkit models list`, a run folder, or a .safetensors file.",
        autocompletion=completion.encoders,
    ),
]
DeviceOpt = Annotated[str | None, optional("cpu, cuda, cuda:1, mps.", default="the best one present")]
JsonOpt = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
OverwriteOpt = Annotated[bool, typer.Option("--overwrite", help="Replace the output if it exists.")]
PartOpt = Annotated[
    str | None,
    typer.Option(
        metavar="N/PARTS",
        help="Make one part, such as 7/64; when all are there, they are the output.",
        rich_help_panel=fields(PartSettings)[0].metadata["group"],
        show_default=False,
    ),
]
LikeOpt = Annotated[
    str,
    typer.Option(
        metavar="PICTURE|CLASS",
        help="A photo or crop of a face that shows it; or neutral, happiness, sadness, surprise, fear, disgust, anger, "
        "contempt.",
        show_default=False,
    ),
]
LikeFaceOpt = Annotated[
    int | None, optional("Which face of that photo, from 1, left to right.", "--face", default="the largest")
]
KeepOpt = Annotated[
    Path | None,
    optional(
        "Keep the embeddings here: a stopped run goes on, and the next question needs no video.", metavar="EMB.npy"
    ),
]


def with_settings(*kinds: type[Any], names: Iterable[str] | None = None) -> Callable[[Command], Command]:
    """Give a command that ends in ``**options`` the fields of dataclasses of settings, with their defaults.

    Args:
        kinds: dataclasses whose fields are of `ferkit.settings.setting`.
        names: of the fields to take; None takes all. What the command states itself, it keeps.
    """

    def give(command: Command) -> Command:
        signature = inspect.signature(command, eval_str=True)
        own = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
        shared = [
            _parameter(field, get_type_hints(kind)[field.name])
            for kind in kinds
            for field in fields(kind)
            if (names is None or field.name in names) and field.name not in signature.parameters
        ]
        command.__signature__ = signature.replace(parameters=[*own, *shared])  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in [*own, *shared]}
        return command

    return give


def with_face_options(names: Iterable[str] | None = None) -> Callable[[Command], Command]:
    """Give a command that ends in ``**options`` the named fields of `FaceOptions`, or all."""
    return with_settings(FaceOptions, names=names)


def in_parts(options: dict[str, Any]) -> bool:
    """Say whether a command with the options of `PartSettings` is to work in parts; these are taken out if not."""
    names = [field.name for field in fields(PartSettings)]
    asked = PartSettings(**{name: options[name] for name in names}) != PartSettings()
    for name in [] if asked else names:
        del options[name]
    return asked


def _parameter(field: Field[Any], kind: Any) -> inspect.Parameter:  # noqa: ANN401 (any annotation)
    shown = field.metadata
    parser, completer, default = shown.get("parser"), shown.get("completion"), field.default
    if default is MISSING:
        kind, default = dict, ""  # a mapping, as it would be typed
    elif get_origin(kind) is Literal:
        kind = str
    elif default == ():
        kind, default = shown.get("kind", list[str]), []
    elif "kind" in shown:
        kind = shown["kind"]
    elif Path in get_args(kind):
        kind = Path | None
    elif parser and default is None:
        kind = str | None
    option = typer.Option(
        *shown.get("flags", ()),
        help=shown["description"],
        metavar=shown.get("metavar"),
        min=shown.get("min"),
        show_default=shown.get("default_text", True),
        parser=parser and _parsing(parser),
        rich_help_panel=shown.get("group"),
        autocompletion=completer and getattr(completion, completer),
    )
    return inspect.Parameter(
        field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, option]
    )


def _parsing(parser: Callable[[str], Any]) -> Callable[[str], Any]:
    """Let the command line say what a parser expects."""

    def parse(text: str) -> Any:  # noqa: ANN401 (whatever it gives)
        try:
            return parser(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    return parse
