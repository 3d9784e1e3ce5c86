"""The table of one protocol of a probe: the same rows on the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ferkit.probing.report import MetricValue, ProbeReport

__all__ = ["ProtocolRow", "protocol_rows"]

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
    shown: list[dict[str, tuple[float, ...]]] = []
    for encoder in report.encoders:
        section = encoder.sections.get(protocol)
        if section is None:
            continue
        baselines: Mapping[str, tuple[MetricValue, ...]] = getattr(section, "baselines", {})
        shown.append(_as_printed(section.figures))
        yield ProtocolRow(encoder.name, {each.name: each for each in section.figures})
        for name, figures in baselines.items():
            if _as_printed(figures) not in shown:
                yield ProtocolRow(name, {each.name: each for each in figures}, encoder.name)
            shown.append(_as_printed(figures))
        chances |= {each.name: each.chance for each in section.figures if each.chance is not None}
    if chances:
        yield ProtocolRow("chance", chances)


def _as_printed(figures: tuple[MetricValue, ...]) -> dict[str, tuple[float, ...]]:
    return {each.name: tuple(round(value, 3) for value in (each.value, *(each.interval or ()))) for each in figures}
