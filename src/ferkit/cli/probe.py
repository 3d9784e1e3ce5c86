"""``ferkit probe``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from ferkit.cli import completion
from ferkit.cli.checks import require_names
from ferkit.cli.options import DeviceOpt, JsonOpt, optional, with_settings
from ferkit.cli.output import escape, run_and_report
from ferkit.cli.words import count_of
from ferkit.pipeline.face_options import FaceOptions
from ferkit.probing.settings import ALL, PIXELS, PROTOCOLS, RANDOM, ProbeOutputs, ProbeSettings

if TYPE_CHECKING:
    from ferkit.evaluation.intervals import Interval
    from ferkit.probing.report import MetricValue, ProbeReport

_COLUMNS = 3
"""Figures beside each other; with their intervals they fill 80 characters."""


@with_settings(ProbeOutputs, ProbeSettings, FaceOptions)
def probe(
    encoders: Annotated[
        list[str],
        typer.Argument(
            metavar="ENCODER...",
            help="A name of `ferkit models list`, a run folder, a .safetensors file, an emb.npy, `pixels` or `random`; "
            "several stand side by side.",
            autocompletion=completion.encoders,
        ),
    ],
    data: Annotated[
        list[Path] | None,
        optional(
            "A labelled face set, or anything that `ferkit align` takes.",
            "--data",
            "-d",
            metavar="FACES",
            default="the rows of emb.npy, else faces",
        ),
    ] = None,
    test: Annotated[
        list[Path] | None,
        optional(
            "Faces to ask, of this or another data set.",
            "--test",
            "-t",
            metavar="FACES",
            default="people of --data that the fit has not seen",
        ),
    ] = None,
    test_layout: Annotated[
        str | None,
        optional(
            "The faces to ask are this part of the data set, such as raf-db:test beside --layout raf-db:train.",
            metavar="NAME",
            default="--layout",
        ),
    ] = None,
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            "--protocol",
            "-p",
            metavar="|".join([*PROTOCOLS, ALL]),
            help="What to measure (may be repeated); `all` takes what the data permit.",
            autocompletion=completion.protocols,
            show_default=ALL,
        ),
    ] = None,
    label_map: Annotated[
        str | None,
        optional("New names of labels, in train and test; OLD= leaves a label out.", metavar="OLD=NEW,…|FILE"),
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Faces per pass through the network.")] = 64,
    device: DeviceOpt = None,
    json: JsonOpt = False,
    **options: Any,  # noqa: ANN401
) -> None:
    """Say how good an encoder is: expression, identity, affect, with intervals."""
    arguments = dict(locals())
    require_names(data, test)
    for encoder in encoders:
        if encoder not in (PIXELS, RANDOM):
            require_names(encoder=encoder)
    from ferkit.probing.report import as_json
    from ferkit.workflows.probe import probe as run

    summary = partial(_summary, out=options["out"], save_head=options["save_head"])
    run_and_report(run, arguments, summary, as_json)


def _summary(result: ProbeReport, out: Path | None, save_head: Path | None) -> Iterator[str | Table]:
    for what, stamp in (("data ", result.data), ("test ", result.test)):
        if stamp is not None:
            people = f", {count_of(stamp.people, 'person', 'people')}" if stamp.people else ""
            faces = count_of(stamp.faces, "face") + people
            labels = ", ".join(f"{escape(label)} {count:,}" for label, count in stamp.labels.items()) or "no labels"
            yield f"{what} [bold]{escape(' '.join(stamp.sources))}[/]: {faces}; {labels}"
    yield f"split {escape(result.split)}"
    for protocol in PROTOCOLS:
        if any(protocol in encoder.sections for encoder in result.encoders):
            yield ""
            yield from _tables(result, protocol)
    yield from _notes(result, out)
    if save_head is not None:
        yield f"head: [bold]{escape(str(save_head))}[/]"


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


def _difference(difference: Interval) -> str:
    """A difference with its interval; a star where that leaves out 0."""
    star = "" if difference.low <= 0 <= difference.high else " *"
    value, low, high = (_number(end, sign="+") for end in (difference.value, difference.low, difference.high))
    return f"{value} ({low} {high}){star}"


def _number(value: float, sign: str = "-") -> str:
    """Three decimals, without the zero before the point."""
    text = f"{value:{sign}.3f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 and not text.endswith("1.000") else text
