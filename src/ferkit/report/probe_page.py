"""The page of a probe: one HTML file with its tables and pictures, that needs nothing else to be read."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ferkit.probing.protocols import RUNNERS
from ferkit.probing.report import (
    AffectSection,
    ClassifierSection,
    DataStamp,
    LeakageSection,
    MetricValue,
    ProbeReport,
    RetrievalSection,
    Section,
    as_json,
)
from ferkit.report.pages import data_url, page_text
from ferkit.report.probe_figures import SavedFigure, format_metric
from ferkit.report.probe_table import protocol_rows

_TELL_APART = "First less second, on the same draws of people: an interval that leaves out 0 tells the two apart."

Table = tuple[list[str], list[list[str]]] | tuple[list[str], list[list[str]], str]
"""Header, rows and perhaps a caption, as the templates' ``table`` takes them."""


def page_of(report: ProbeReport, figures: Sequence[SavedFigure]) -> str:
    """Return a report as one HTML page: tables as text, pictures inside, nothing fetched from anywhere.

    Args:
        report: of a probe; only what report.json holds is shown.
        figures: its pictures, of `ferkit.report.probe_figures.draw_figures`.
    """
    names = ", ".join(encoder.name for encoder in report.encoders)
    task = "Fitted on" if report.test is not None else "Fitted and asked on"
    about = [f"Asked on {_words(report.test)}."] if report.test is not None else []
    about.append(f"{report.split}. In brackets: 95 % interval of a bootstrap over people.")
    about += [f"Left out: {_title(name).lower()}: {why}" for name, why in report.skipped.items()]
    empty: dict[str, Any] = {"notes": [], "tables": [], "lacking": [], "figures": []}
    sections = list(_sections(report, figures))
    if report.comparisons:
        sections.append({"title": "Differences", "notes": [_TELL_APART], "tables": [_differences(report)]})
    if pictures := _pictures(figures, None):
        sections.append({"title": "Pictures", "figures": pictures})
    return page_text(
        "probe.html",
        title=f"Probe of {names}",
        lead=f"{task} {_words(report.data)}.",
        note=None,
        about=about,
        warnings=report.warnings,
        encoders=_encoders(report),
        sections=[empty | section for section in sections],
        details=_details(report),
    )


def _encoders(report: ProbeReport) -> Table:
    rows = [
        [each.name, str(each.dim), each.supervision or "–", f"{each.coverage:.1%}", each.sha256[:12] or "–"]
        for each in report.encoders
    ]
    return ["encoder", "length", "learnt from", "faces with a vector", "sha256"], rows


def _words(data: DataStamp) -> str:
    sources = ", ".join(data.sources)
    people = f"{data.people:,} people" if data.people else "nobody known by name"
    labels = ", ".join(f"{name} {count:,}" for name, count in data.labels.items()) or "no labels"
    faceless = f", {data.faceless:,} of them without a face" if data.faceless else ""
    return f"{sources}: {data.faces:,} pictures{faceless}; {people}; {labels}"


def _sections(report: ProbeReport, figures: Sequence[SavedFigure]) -> Iterator[dict[str, Any]]:
    protocols = dict.fromkeys(name for encoder in report.encoders for name in encoder.sections)
    for name in protocols:
        sections = {each.name: each.sections[name] for each in report.encoders if name in each.sections}
        leaks = [each.left_out for each in sections.values() if isinstance(each, LeakageSection)]
        lacking = dict.fromkeys(entry for left_out in leaks for entry in left_out.items())
        yield {
            "title": _title(name),
            "notes": list(dict.fromkeys(section.protocol for section in sections.values())),
            "tables": [_figure_table(report, name), *_by_class(sections)],
            "lacking": [f"Without {_spaced(what)}: {why}" for what, why in lacking],
            "figures": _pictures(figures, name),
        }


def _figure_table(report: ProbeReport, protocol: str) -> Table:
    """Encoders down and figures across, below each encoder its baselines, at the end what is reached by chance."""
    rows = list(protocol_rows(report, protocol))
    columns = list(dict.fromkeys(name for row in rows for name in row.cells))
    lines = []
    for row in rows:
        name = f"{row.baseline_of}: {row.name}" if row.baseline_of else row.name
        lines.append([name, *(_cell(row.cells.get(column)) for column in columns)])
    return ["encoder", *map(_spaced, columns)], lines


def _cell(figure: MetricValue | float | None) -> str:
    if not isinstance(figure, MetricValue):
        return "–" if figure is None else f"{figure:.3f}"
    seeds = " ".join(f"{value:.3f}" for value in figure.by_seed) if len(figure.by_seed) > 1 else ""
    return f"{format_metric(figure)}\n{seeds}" if seeds else format_metric(figure)


def _by_class(sections: Mapping[str, Section]) -> Iterator[Table]:
    """Yield a table of what each class reaches, encoders across."""
    recalls: dict[str, dict[str, str]] = {}
    pairs: dict[str, dict[str, str]] = {}
    for name, section in sections.items():
        if isinstance(section, ClassifierSection):
            recalls[name] = {label: f"{value:.3f}" for label, value in section.result.recall.items()}
        elif isinstance(section, RetrievalSection):
            pairs[name] = {label: f"{first:.3f} / {mean:.3f}" for label, (first, mean) in section.by_class.items()}
    for what, values in (("recall of each class", recalls), ("precision / mean average precision", pairs)):
        if values:
            labels = list(dict.fromkeys(label for cells in values.values() for label in cells))
            rows = [[label, *(cells.get(label, "–") for cells in values.values())] for label in labels]
            yield ["class", *values], rows, what


def _pictures(figures: Sequence[SavedFigure], protocol: str | None) -> list[dict[str, str]]:
    return [
        {
            "image": data_url(figure.path.read_bytes(), "png"),
            "title": f"{figure.encoder}: {figure.title}" if figure.encoder else figure.title,
            "caption": figure.caption,
        }
        for figure in figures
        if figure.protocol == protocol
    ]


def _differences(report: ProbeReport) -> Table:
    rows = []
    for each in report.comparisons:
        difference = each.difference
        apart = "yes" if difference.low > 0 or difference.high < 0 else "no"
        value = f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})"
        rows.append([f"{each.first} – {each.second}", each.protocol, _spaced(each.figure), value, apart])
    return ["encoders", "protocol", "figure", "difference", "told apart"], rows


def _details(report: ProbeReport) -> list[tuple[str, str]]:
    parts = {
        "Settings": report.settings,
        "Versions": report.versions,
        "Faces": {"data": report.data, "test": report.test},
        "Chosen by each fit": {
            encoder.name: {
                name: section.chosen
                for name, section in encoder.sections.items()
                if isinstance(section, ClassifierSection | AffectSection)
            }
            for encoder in report.encoders
        },
    }
    return [(title, json.dumps(as_json(value), indent=2, ensure_ascii=False)) for title, value in parts.items()]


def _spaced(figure: str) -> str:
    return figure.replace("_", " ").replace(".", " ")


def _title(protocol: str) -> str:
    return RUNNERS[protocol].title if protocol in RUNNERS else protocol
