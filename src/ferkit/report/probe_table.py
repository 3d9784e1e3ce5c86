"""The table of one protocol of a probe: the same rows on the terminal and on the page."""

import re
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, stdev
from typing import NamedTuple

import pyarrow as pa

from ferkit.probing.report import EncoderReport, MetricValue, ProbeReport

Cells = Mapping[str, MetricValue | float]


class ProtocolRow(NamedTuple):
    """Metrics by name: of an encoder, of a baseline of one, or of chance."""

    name: str
    cells: Cells
    baseline_of: str = ""


def protocol_rows(report: ProbeReport, protocol: str) -> Iterator[ProtocolRow]:
    """Yield every encoder with its metrics by name, below it its baselines, and at the end what chance reaches.

    A baseline that stands in the table already, such as one that was probed itself, is not repeated.
    """
    chances: dict[str, float] = {}
    repeated: dict[str, list[EncoderReport]] = {}
    printed: list[dict[str, tuple[float, ...]]] = []
    for encoder in report.encoders:
        section = encoder.sections.get(protocol)
        if section is None:
            continue
        baselines: Mapping[str, tuple[MetricValue, ...]] = getattr(section, "baselines", {})
        printed.append(_as_printed(section.figures))
        yield ProtocolRow(encoder.name, {each.name: each for each in section.figures})
        for name, figures in baselines.items():
            if _as_printed(figures) not in printed:
                yield ProtocolRow(name, {each.name: each for each in figures}, encoder.name)
            printed.append(_as_printed(figures))
        if encoder.recipe is not None:
            repeated.setdefault(encoder.recipe, []).append(encoder)
        chances |= {each.name: each.chance for each in section.figures if each.chance is not None}
    for runs in repeated.values():
        yield from _over_seeds(runs, protocol)
    if chances:
        yield ProtocolRow("chance", chances)


def _over_seeds(runs: Sequence[EncoderReport], protocol: str) -> Iterator[ProtocolRow]:
    """Yield the mean and the standard deviation (n - 1) of runs that differ by their seeds alone."""
    if len(runs) < 2:
        return
    values = [{each.name: each.value for each in run.sections[protocol].figures} for run in runs]
    names = [name for name in values[0] if all(name in each for each in values)]
    of = f"{len(runs)} seeds, {runs[0].name} …"
    for what, reduce in (("mean", fmean), ("deviation", stdev)):
        yield ProtocolRow(f"{what} of {of}", {name: reduce([each[name] for each in values]) for name in names})


def _as_printed(figures: tuple[MetricValue, ...]) -> dict[str, tuple[float, ...]]:
    return {each.name: tuple(round(value, 3) for value in (each.value, *(each.interval or ()))) for each in figures}


def figures_table(report: ProbeReport) -> pa.Table:
    """Return all figures as a long table: protocol, encoder, figure, value, and low and high of its 95 % interval."""
    rows = [
        {"protocol": protocol, "encoder": row.name, "figure": name, **_value_and_interval(cell)}
        for protocol in _protocols(report)
        for row in protocol_rows(report, protocol)
        for name, cell in row.cells.items()
    ]
    columns = [(name, pa.string()) for name in ("protocol", "encoder", "figure")]
    return pa.Table.from_pylist(
        rows, pa.schema([*columns, *((name, pa.float64()) for name in ("value", "low", "high"))])
    )


def latex_tables(report: ProbeReport) -> str:
    """Write a LaTeX table a protocol, with booktabs' rules: encoders down, figures across, intervals in brackets."""
    return "\n".join(_latex(report, protocol) for protocol in _protocols(report))


def _latex(report: ProbeReport, protocol: str) -> str:
    rows = list(protocol_rows(report, protocol))
    names = list({name: None for row in rows for name in row.cells})
    lines = [
        f"% ferkit probe: {protocol}",
        rf"\begin{{tabular}}{{l{'r' * len(names)}}}",
        r"\toprule",
        " & ".join(["", *map(_escaped, names)]) + r" \\",
        r"\midrule",
        *(" & ".join([_escaped(row.name), *(_cell(row.cells.get(name)) for name in names)]) + r" \\" for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def _protocols(report: ProbeReport) -> list[str]:
    return list({name: None for encoder in report.encoders for name in encoder.sections})


def _value_and_interval(cell: MetricValue | float) -> dict[str, float | None]:
    if isinstance(cell, float):
        return {"value": cell, "low": None, "high": None}
    low, high = cell.interval or (None, None)
    return {"value": cell.value, "low": low, "high": high}


def _cell(cell: MetricValue | float | None) -> str:
    if cell is None:
        return "--"
    numbers = _value_and_interval(cell)
    interval = "" if numbers["low"] is None else f" [{numbers['low']:.3f}, {numbers['high']:.3f}]"
    return f"{numbers['value']:.3f}{interval}"


def _escaped(text: str) -> str:
    return re.sub(r"([&%$#_{}])", r"\\\1", text)
