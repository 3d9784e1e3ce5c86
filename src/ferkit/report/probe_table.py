"""The table of one protocol of a probe: the same rows on the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ferkit.probing.report import MetricValue, ProbeReport

__all__ = ["protocol_rows"]

Cells = Mapping[str, MetricValue | float]


def protocol_rows(report: ProbeReport, protocol: str) -> Iterator[tuple[str, Cells]]:
    """Yield every encoder with its metrics by name, below it its baselines, and at the end what chance reaches.

    A baseline that stands in the table already, such as one that was probed itself, is not repeated.
    """
    chances: dict[str, float] = {}
    shown: list[Cells] = []
    for encoder in report.encoders:
        section = encoder.sections.get(protocol)
        if section is None:
            continue
        lines = {encoder.name: section.figures}
        lines |= {f"  {name}": figures for name, figures in getattr(section, "baselines", {}).items()}
        for number, (name, figures) in enumerate(lines.items()):
            cells = {figure.name: figure for figure in figures}
            if number == 0 or not any(_same(cells, each) for each in shown):
                yield name, cells
            shown.append(cells)
        chances |= {each.name: each.chance for each in section.figures if each.chance is not None}
    if chances:
        yield "chance", chances


def _same(cells: Mapping[str, MetricValue], others: Cells) -> bool:
    """Whether two rows would read alike."""
    return cells.keys() == others.keys() and all(
        isinstance(other := others[name], MetricValue)
        and (round(value.value, 3), value.interval and [round(end, 3) for end in value.interval])
        == (round(other.value, 3), other.interval and [round(end, 3) for end in other.interval])
        for name, value in cells.items()
    )
