"""``ferkit probe``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from ferkit.cli.options import DeviceOpt, JsonOpt, with_face_options
from ferkit.cli.output import ProgressBar, report
from ferkit.cli.output import out as console
from ferkit.cli.words import counted
from ferkit.probing.settings import ALL, PROTOCOLS, ProbeSettings

if TYPE_CHECKING:
    from ferkit.evaluation.intervals import Interval
    from ferkit.probing.report import MetricValue, ProbeReport

__all__ = ["probe"]

_SETTINGS = ProbeSettings()
_FITTING, _ASKING = "Fitting", "Asking"

_COLUMNS = 3
"""Figures beside each other; with their intervals they fill 80 characters."""


def _pair(text: str | None) -> tuple[str, str] | None:
    """``happiness,neutral`` as two labels."""
    if text is None:
        return None
    first, _, second = (part.strip() for part in text.partition(","))
    if not first or not second or first == second or "," in second:
        raise typer.BadParameter(f"{text!r} is not two labels, such as happiness,neutral", param_hint="--pair")
    return first, second


@with_face_options()
def probe(
    encoders: Annotated[
        list[str],
        typer.Argument(
            metavar="ENCODER...",
            help="A name of `ferkit models list`, a run folder, a .safetensors file, an emb.npy, `pixels` or `random`; "
            "several stand side by side.",
        ),
    ],
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data",
            "-d",
            metavar="FACES",
            help="A labelled face set, or anything that `ferkit align` takes.",
            show_default="the rows of emb.npy, else faces",
        ),
    ] = None,
    test: Annotated[
        list[Path] | None,
        typer.Option(
            "--test",
            "-t",
            metavar="FACES",
            help="Faces to ask, of this or another data set.",
            show_default="people of --data that the fit has not seen",
        ),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            "--protocol",
            "-p",
            metavar="|".join([*PROTOCOLS, ALL]),
            help="What to measure (may be repeated); `all` takes what the data permit.",
            show_default=ALL,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for report.json, report.html and pictures.", show_default="none"),
    ] = None,
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Draw into --out: confusion, map, nearest faces, …")
    ] = True,
    compare: Annotated[
        bool, typer.Option("--compare", help="Say by how much the first encoder differs from the others.")
    ] = False,
    publish: Annotated[bool, typer.Option("--publish", help="Write the figures into the run's encoder.yaml.")] = False,
    label_map: Annotated[
        str | None,
        typer.Option(
            metavar="OLD=NEW,…|FILE",
            help="New names of labels, in train and test; OLD= leaves a label out.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=1, help="Fits of each classifier; their answers are pooled.", rich_help_panel=_FITTING)
    ] = _SETTINGS.seeds,
    seed: Annotated[int, typer.Option(help="The first of them.", rich_help_panel=_FITTING)] = _SETTINGS.seed,
    folds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Without --test: parts that are asked in turn; 1 asks one fifth.",
            show_default="5 up to 5,000 faces, else 1",
            rich_help_panel=_FITTING,
        ),
    ] = _SETTINGS.folds,
    solver: Annotated[
        str,
        typer.Option(
            metavar="lbfgs|sgd", help="Of the linear probe; sgd is the papers' schedule.", rich_help_panel=_FITTING
        ),
    ] = _SETTINGS.solver,
    lr: Annotated[float, typer.Option(help="Learning rate of sgd.", rich_help_panel=_FITTING)] = _SETTINGS.lr,
    epochs: Annotated[int, typer.Option(min=1, help="Of sgd.", rich_help_panel=_FITTING)] = _SETTINGS.epochs,
    finetune_epochs: Annotated[
        int, typer.Option(min=1, help="Of finetune.", rich_help_panel=_FITTING)
    ] = _SETTINGS.finetune_epochs,
    balance: Annotated[
        bool, typer.Option("--balance", help="Balanced softmax in finetune.", rich_help_panel=_FITTING)
    ] = _SETTINGS.balance,
    neighbours: Annotated[int, typer.Option(min=1, help="Of knn.", rich_help_panel=_ASKING)] = _SETTINGS.neighbours,
    k: Annotated[
        int, typer.Option("-k", min=1, help="How many found faces retrieval counts.", rich_help_panel=_ASKING)
    ] = _SETTINGS.k,
    pair: Annotated[
        str | None,
        typer.Option(
            metavar="LABEL,LABEL",
            help="Two labels that triplets compare.",
            show_default="all",
            rich_help_panel=_ASKING,
        ),
    ] = None,
    fec: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Triplets of Google's facial expression comparison data set, asked instead; the faces are those of "
            "its pictures.",
            show_default=False,
            rich_help_panel=_ASKING,
        ),
    ] = None,
    fec_images: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Its pictures.", show_default=False, rich_help_panel=_ASKING),
    ] = None,
    leak: Annotated[
        list[str] | None,
        typer.Option(
            "--leak",
            metavar="COLUMN",
            help="Also ask what the vectors tell of this column, such as yaw or source (may be repeated).",
            show_default=False,
            rich_help_panel=_ASKING,
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Faces per pass through the network.")] = 64,
    device: DeviceOpt = None,
    json: JsonOpt = False,
    **options: Any,  # noqa: ANN401
) -> None:
    """Say how good an encoder is: expression, identity, affect, with intervals."""
    from ferkit.probing.report import as_json
    from ferkit.workflows.probe import probe as run

    with ProgressBar() as progress:
        result = run(
            encoders,
            data,
            test=test,
            protocol=protocol or [ALL],
            out=out,
            pictures=pictures,
            compare=compare,
            publish=publish,
            label_map=label_map,
            seeds=seeds,
            seed=seed,
            folds=folds,
            solver=solver,
            lr=lr,
            epochs=epochs,
            finetune_epochs=finetune_epochs,
            balance=balance,
            neighbours=neighbours,
            k=k,
            pair=_pair(pair),
            fec=None if fec is None else str(fec),
            fec_images=None if fec_images is None else str(fec_images),
            leak=tuple(leak or ()),
            batch_size=batch_size,
            device=device,
            progress=progress,
            **options,
        )
    if json:
        report("", as_json(result), json=True)
        return
    for shown in _shown(result, out):
        console.print(shown)


def _shown(result: ProbeReport, out: Path | None) -> Iterator[str | Table]:
    for what, stamp in (("data ", result.data), ("test ", result.test)):
        if stamp is not None:
            people = f", {counted(stamp.people, 'person', 'people')}" if stamp.people else ""
            labels = ", ".join(f"{escape(label)} {count:,}" for label, count in stamp.labels.items()) or "no labels"
            yield f"{what} [bold]{escape(' '.join(stamp.sources))}[/]: {counted(stamp.faces, 'face')}{people}; {labels}"
    yield f"split {escape(result.split)}"
    for protocol in PROTOCOLS:
        if any(protocol in encoder.sections for encoder in result.encoders):
            yield ""
            yield from _tables(result, protocol)
    yield from _notes(result, out)


def _tables(result: ProbeReport, protocol: str) -> Iterator[Table]:
    """Encoders down, figures across, a few to a table; in brackets the 95 % interval."""
    rows = list(_rows(result, protocol))
    names = list({name: None for _, cells in rows for name in cells})
    width = max(len(label) for label, _ in rows)
    for start in range(0, len(names), _COLUMNS):
        table = Table(protocol, box=None)
        table.columns[0].min_width = width
        for name in names[start : start + _COLUMNS]:
            table.add_column(escape(name), no_wrap=True)
        for label, cells in rows:
            shown = [cells.get(name, "") for name in names[start : start + _COLUMNS]]
            if any(shown):
                table.add_row(escape(label), *shown)
        yield table


def _rows(result: ProbeReport, protocol: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The table's rows, and below them by how much the first encoder differs from the others."""
    from ferkit.report.probe_table import protocol_rows

    for row in protocol_rows(result, protocol):
        cells = {key: _number(cell) if isinstance(cell, float) else _cell(cell) for key, cell in row.cells.items()}
        yield f"  {row.name}" if row.baseline_of else row.name, cells
    for other in result.encoders[1:]:
        found = {
            each.figure: _difference(each.difference)
            for each in result.comparisons
            if (each.protocol, each.second) == (protocol, other.name)
        }
        if found:
            yield f"{result.encoders[0].name} − {other.name}", found


def _notes(result: ProbeReport, out: Path | None) -> Iterator[str]:
    for encoder in result.encoders:
        if encoder.coverage < 1:
            yield f"[yellow]note:[/] {escape(encoder.name)} has a vector for {encoder.coverage:.1%} of the asked faces"
    for warning in result.warnings:
        yield f"[yellow]note:[/] {escape(warning)}"
    for name, why in result.skipped.items():
        yield f"[yellow]without {escape(name)}:[/] {escape(why)}"
    leakage = result.encoders[0].sections.get("leakage")
    for name, why in getattr(leakage, "left_out", {}).items():
        yield f"[yellow]without {escape(name)}:[/] {escape(why)}"
    if out is not None:
        yield f"report: [bold]{escape(str(out))}[/]"


def _cell(figure: MetricValue) -> str:
    ends = "" if figure.interval is None else f" ({_number(figure.interval[0])}–{_number(figure.interval[1])})"
    return _number(figure.value) + ends


def _difference(found: Interval) -> str:
    """A difference with its interval; a star where that leaves out 0."""
    star = "" if found.low <= 0 <= found.high else " *"
    return f"{_number(found.value, sign='+')} ({_number(found.low, sign='+')} {_number(found.high, sign='+')}){star}"


def _number(value: float, sign: str = "-") -> str:
    """Three decimals, without the zero before the point."""
    text = f"{value:{sign}.3f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 and not text.endswith("1.000") else text
