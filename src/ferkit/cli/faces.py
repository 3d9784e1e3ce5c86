"""ferkit faces: look into face sets, join, thin out and split them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ferkit.cli.options import JsonOpt, OverwriteOpt, optional, with_face_options, with_settings
from ferkit.cli.output import escape, report, run_and_report, short_path
from ferkit.cli.words import count_of, count_pictures
from ferkit.pipeline import FACES
from ferkit.pipeline.face_options import FILTERS
from ferkit.search.retrieve_settings import RetrieveSettings
from ferkit.workflows import PARTS

if TYPE_CHECKING:
    from ferkit.workflows.faces import FacesInfo, FilterResult, MergeResult
    from ferkit.workflows.faces_split import SplitResult

app = typer.Typer(no_args_is_help=True, help="Face sets: what is in them; join, thin out and split them.")

SetArg = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a face set.")]
OutOpt = Annotated[Path, typer.Option("--out", "-o", help="Folder of the new face set.")]
DedupeOpt = Annotated[bool, typer.Option("--dedupe", help="Of faces with the same pixels keep only the first.")]


_PARTS = ",".join(f"{name}={share:g}" for name, share in PARTS.items())


@app.command("info")
def faces_info(
    faces: SetArg = Path(FACES),
    sheet: Annotated[Path | None, optional("Draw some of the faces into this picture.", default="none")] = None,
    sheet_faces: Annotated[int, typer.Option(min=1, help="How many.")] = 96,
    seed: Annotated[int, typer.Option(help="Which ones.")] = 0,
    json: JsonOpt = False,
) -> None:
    """Say what is in a face set: people, labels, quality."""
    from ferkit.workflows.faces import faces_info as run

    result = run(faces, sheet=sheet, sheet_faces=sheet_faces, seed=seed)
    report(_facts(result), _info_fields(result), json=json)


@app.command("merge")
def merge_faces(
    sets: Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders of face sets.")],
    out: OutOpt,
    dedupe: DedupeOpt = False,
    overwrite: OverwriteOpt = False,
    json: JsonOpt = False,
) -> None:
    """Join face sets of one template, one behind the other."""
    arguments = dict(locals())
    from ferkit.workflows.faces import merge_faces as run

    run_and_report(run, arguments, partial(_merged, dedupe=dedupe))


def _merged(result: MergeResult, dedupe: bool) -> str:
    without = f" without {count_of(result.duplicates, 'duplicate')}" if dedupe else ""
    return f"{_path(result.path)}: {count_of(result.faces, 'face')} of {count_of(result.sets, 'set')}{without}"


@app.command("filter")
@with_settings(RetrieveSettings, names=["where"])
@with_face_options(FILTERS)
def filter_faces(
    faces: SetArg,
    out: OutOpt,
    dedupe: DedupeOpt = False,
    per_identity: Annotated[
        int | None, typer.Option(min=1, help="Most faces of one person, spread evenly.", show_default="all")
    ] = None,
    overwrite: OverwriteOpt = False,
    json: JsonOpt = False,
    **options: object,
) -> None:
    """Take the faces that meet every condition."""
    arguments = dict(locals())
    from ferkit.workflows.faces import filter_faces as run

    run_and_report(run, arguments, _filtered)


def _shares(text: str) -> dict[str, float]:
    """``train=0.8,test=0.2`` as a mapping."""
    try:
        pairs = [part.split("=") for part in text.split(",")]
        shares = {name.strip(): float(share) for name, share in pairs}
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not NAME=SHARE,NAME=SHARE, such as train=0.8,test=0.2") from None
    if len(shares) < len(pairs):
        raise typer.BadParameter(f"{text!r} names a part twice")
    return shares


@app.command("split")
def split_faces(
    faces: SetArg,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to make, of one face set for each part.")],
    parts: Annotated[
        dict,  # type: ignore[type-arg]  # typer takes the bare class
        typer.Option(metavar="NAME=SHARE,…", parser=_shares, help="The parts; shares add up to 1."),
    ] = _PARTS,  # type: ignore[assignment]  # as it would be typed
    by: Annotated[
        str, typer.Option(metavar="identity|clip|source|none", help="Whose faces stay together.")
    ] = "identity",
    seed: Annotated[int, typer.Option(help="Settles where equal groups go.")] = 0,
    overwrite: OverwriteOpt = False,
    json: JsonOpt = False,
) -> None:
    """Split for training and testing: nobody in two parts, labels in equal shares."""
    arguments = dict(locals())
    from ferkit.workflows.faces_split import split_faces as run

    run_and_report(run, arguments, _split)


def _facts(info: FacesInfo) -> Iterator[str | Table]:
    faces = count_of(info.faces, "face")
    yield f"{_path(info.path)}: {faces}, {info.size} px of {escape(info.template)}, {info.bytes / 1e6:,.1f} MB"
    clips = f", {count_of(info.clips, 'clip')} of {count_of(info.videos, 'video')}" if info.clips or info.videos else ""
    yield f"from     {count_pictures(info.pictures, info.unit)}{clips}"
    unnamed = f", {count_of(info.without_identity, 'face')} without a name" if info.without_identity else ""
    yield f"people   {info.identities:,}{unnamed}"
    unlabelled = f", {count_of(info.without_label, 'face')} without one" if info.without_label else ""
    yield f"labels   {len(info.labels):,}{unlabelled}"
    hint = ", which `ferkit faces filter --dedupe` leaves out" if info.duplicates else ""
    yield f"repeated {count_of(info.duplicates, 'face')}{hint}"
    if info.sheet is not None:
        yield f"sheet    {escape(short_path(str(info.sheet)))}"
    if info.labels:
        yield from ("", _label_table(info))
    if info.quality:
        yield from ("", _quality_table(info))


def _label_table(info: FacesInfo) -> Table:
    table = Table("label", box=None)
    for title in ("faces", "share"):
        table.add_column(title, justify="right")
    for label, count in info.labels.items():
        table.add_row(escape(label), f"{count:,}", _percent(count, info.faces))
    return table


def _quality_table(info: FacesInfo) -> Table:
    from ferkit.workflows.faces import QUANTILES

    table = Table("quality", box=None)
    for quantile in QUANTILES:
        table.add_column("median" if quantile == 0.5 else f"{quantile:.0%}", justify="right")
    names = {"size": "size, px", "yaw": "|yaw|, degrees"}
    for name, values in info.quality.items():
        decimals = 0 if name in names else 2
        table.add_row(names.get(name, name), *(f"{value:,.{decimals}f}" for value in values))
    return table


def _info_fields(info: FacesInfo) -> Mapping[str, Any]:
    from ferkit.workflows.faces import QUANTILES

    fields = asdict(info)
    names = [f"{quantile:g}" for quantile in QUANTILES]
    fields["quality"] = {name: dict(zip(names, values, strict=True)) for name, values in info.quality.items()}
    return fields


def _filtered(result: FilterResult) -> Iterator[str]:
    yield f"{_path(result.path)}: {result.faces:,} of {result.total:,} faces"
    for option, count in result.dropped.items():
        yield f"  {count:>9,} left out by {escape(option)}"


def _split(result: SplitResult) -> Iterator[str | Table]:
    yield f"{_path(result.path)}: {', '.join(escape(part.name) for part in result.parts)}"
    yield ""
    total = sum(part.faces for part in result.parts)
    table = Table("", box=None)
    for part in result.parts:
        table.add_column(escape(part.name), justify="right")
    table.add_row("faces", *(f"{part.faces:,}" for part in result.parts))
    table.add_row("of all", *(_percent(part.faces, total) for part in result.parts))
    table.add_row("people", *(f"{part.identities:,}" for part in result.parts))
    for label in sorted({label for part in result.parts for label in part.labels}):
        table.add_row(escape(label), *(_percent(part.labels.get(label, 0), part.faces) for part in result.parts))
    yield table


def _path(path: Path) -> str:
    return f"[bold]{escape(short_path(str(path)))}[/]"


def _percent(count: int, total: int) -> str:
    return f"{count / total:.1%}"
