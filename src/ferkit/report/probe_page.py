"""The page of a probe: one HTML file with its tables and pictures, that needs nothing else to be read."""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from ferkit.atomic import atomic_path
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
from ferkit.report.probe_figures import SavedFigure, format_metric
from ferkit.report.probe_table import protocol_rows

_STYLE = """
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; color: #1c1f26; background: #fff;
  max-width: 68rem; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin-bottom: .3rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .2rem; padding-top: .6rem; border-top: 1px solid #d9dce3; }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
p, figcaption, summary { max-width: 60rem; overflow-wrap: anywhere; }
.soft, figcaption, caption { color: #5b6370; font-size: .88rem; }
.note { border-left: 3px solid #c8452f; padding: .1rem .8rem; margin: .6rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .7rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; }
th, td { padding: .28rem .9rem .28rem 0; text-align: right; border-bottom: 1px solid #e6e8ed; white-space: nowrap; }
th { font-weight: 600; }
th:first-child, td:first-child { text-align: left; }
td small { display: block; color: #5b6370; }
figure { margin: 1.2rem 0 1.8rem; }
img { max-width: 100%; height: auto; }
pre { font-size: .8rem; overflow-x: auto; background: #f5f6f8; padding: .8rem; }
"""


def write_page(report: ProbeReport, figures: Sequence[SavedFigure], path: str | Path) -> Path:
    """Write the report as one HTML file: tables as text, pictures inside, nothing fetched from anywhere.

    Args:
        report: of a probe; only what report.json holds is shown.
        figures: its pictures, of `ferkit.report.probe_figures.draw_figures`.
        path: the file to write.

    Returns:
        The path.

    Raises:
        OutputError: the file cannot be written.
    """
    path = Path(path)
    with atomic_path(path) as partial:
        partial.write_text(page_of(report, figures), encoding="utf-8")
    return path


def page_of(report: ProbeReport, figures: Sequence[SavedFigure]) -> str:
    """Return the page as text; equal reports and pictures give equal pages."""
    names = ", ".join(encoder.name for encoder in report.encoders)
    body = [
        f"<h1>Probe of {escape(names)}</h1>",
        *_about(report),
        *_sections(report, figures),
        *_comparisons(report),
        *_pictures("Pictures", [figure for figure in figures if figure.protocol is None]),
        *_details(report),
    ]
    head = f'<meta charset="utf-8">\n<title>Probe of {escape(names)}</title>\n<style>{_STYLE}</style>'
    view = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    top = ["<!doctype html>", '<html lang="en">', f"<head>\n{head}\n{view}\n</head>", "<body>"]
    return "\n".join([*top, *body, "</body>", "</html>\n"])


def _about(report: ProbeReport) -> Iterator[str]:
    known = "Fitted on" if report.test is not None else "Fitted and asked on"
    yield f"<p>{known} {_words(report.data)}.</p>"
    if report.test is not None:
        yield f"<p>Asked on {_words(report.test)}.</p>"
    yield f'<p class="soft">{escape(report.split)}. In brackets: 95 % interval of a bootstrap over people.</p>'
    yield from (f'<p class="note">{escape(warning)}</p>' for warning in report.warnings)
    yield from (
        f'<p class="soft">Left out: {escape(_title(name).lower())}: {escape(why)}</p>'
        for name, why in report.skipped.items()
    )
    rows = [
        [each.name, str(each.dim), each.supervision or "–", f"{each.coverage:.1%}", each.sha256[:12] or "–"]
        for each in report.encoders
    ]
    yield _table(["encoder", "length", "learnt from", "faces with a vector", "sha256"], rows)


def _words(data: DataStamp) -> str:
    sources = ", ".join(data.sources)
    people = f"{data.people:,} people" if data.people else "nobody known by name"
    labels = ", ".join(f"{name} {count:,}" for name, count in data.labels.items()) or "no labels"
    faceless = f", {data.faceless:,} of them without a face" if data.faceless else ""
    return escape(f"{sources}: {data.faces:,} pictures{faceless}; {people}; {labels}")


def _sections(report: ProbeReport, figures: Sequence[SavedFigure]) -> Iterator[str]:
    protocols = dict.fromkeys(name for encoder in report.encoders for name in encoder.sections)
    for name in protocols:
        found = {each.name: each.sections[name] for each in report.encoders if name in each.sections}
        yield f"<h2>{escape(_title(name))}</h2>"
        yield from (f'<p class="soft">{escape(text)}</p>' for text in dict.fromkeys(s.protocol for s in found.values()))
        yield _figure_table(report, name)
        lacking = [each.left_out for each in found.values() if isinstance(each, LeakageSection)]
        yield from (
            f'<p class="soft">Without {escape(_spaced(what))}: {escape(why)}</p>' for what, why in _all(lacking)
        )
        yield from _by_class(found)
        yield from _pictures("", [figure for figure in figures if figure.protocol == name])


def _figure_table(report: ProbeReport, protocol: str) -> str:
    """Encoders down and figures across, below each encoder its baselines, at the end what is reached by chance."""
    rows = list(protocol_rows(report, protocol))
    columns = list(dict.fromkeys(name for row in rows for name in row.cells))
    lines = []
    for row in rows:
        name = f"{row.baseline_of}: {row.name}" if row.baseline_of else row.name
        lines.append([name, *(_cell(row.cells.get(column)) for column in columns)])
    return _table(["encoder", *map(_spaced, columns)], lines)


def _cell(figure: MetricValue | float | None) -> str:
    if not isinstance(figure, MetricValue):
        return "–" if figure is None else f"{figure:.3f}"
    seeds = " ".join(f"{value:.3f}" for value in figure.by_seed) if len(figure.by_seed) > 1 else ""
    return f"{format_metric(figure)}\n{seeds}" if seeds else format_metric(figure)


def _by_class(found: Mapping[str, Section]) -> Iterator[str]:
    """Yield a table of what each class reaches, encoders across."""
    recalls: dict[str, dict[str, str]] = {}
    pairs: dict[str, dict[str, str]] = {}
    for name, section in found.items():
        if isinstance(section, ClassifierSection):
            recalls[name] = {label: f"{value:.3f}" for label, value in section.result.recall.items()}
        elif isinstance(section, RetrievalSection):
            pairs[name] = {label: f"{first:.3f} / {mean:.3f}" for label, (first, mean) in section.by_class.items()}
    for what, values in (("recall of each class", recalls), ("precision / mean average precision", pairs)):
        if values:
            labels = list(dict.fromkeys(label for cells in values.values() for label in cells))
            rows = [[label, *(cells.get(label, "–") for cells in values.values())] for label in labels]
            yield _table(["class", *values], rows, what)


def _pictures(title: str, figures: Sequence[SavedFigure]) -> Iterator[str]:
    if title and figures:
        yield f"<h2>{escape(title)}</h2>"
    for figure in figures:
        whose = f"{figure.encoder}: " if figure.encoder else ""
        data = base64.b64encode(figure.path.read_bytes()).decode("ascii")
        yield (
            f'<figure><img src="data:image/png;base64,{data}" alt="{escape(whose + figure.title)}">'
            f"<figcaption><b>{escape(whose + figure.title)}.</b> {escape(figure.caption)}</figcaption></figure>"
        )


def _comparisons(report: ProbeReport) -> Iterator[str]:
    if not report.comparisons:
        return
    yield "<h2>Differences</h2>"
    yield (
        '<p class="soft">First less second, on the same draws of people: an interval that leaves out 0 tells the two '
        "apart.</p>"
    )
    rows = []
    for each in report.comparisons:
        found = each.difference
        apart = "yes" if found.low > 0 or found.high < 0 else "no"
        value = f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"
        rows.append([f"{each.first} – {each.second}", each.protocol, _spaced(each.figure), value, apart])
    yield _table(["encoders", "protocol", "figure", "difference", "told apart"], rows)


def _details(report: ProbeReport) -> Iterator[str]:
    yield "<h2>How it was made</h2>"
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
    for title, value in parts.items():
        text = escape(json.dumps(as_json(value), indent=2, ensure_ascii=False))
        yield f"<details><summary>{escape(title)}</summary><pre>{text}</pre></details>"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Return a table; what follows a line break in a cell stands small below it."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "\n".join(f"<tr>{''.join(f'<td>{_lines(cell)}</td>' for cell in row)}</tr>" for row in rows)
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="wide"><table>{above}<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def _lines(cell: str) -> str:
    first, _, below = cell.partition("\n")
    return escape(first) + (f"<small>{escape(below)}</small>" if below else "")


def _all(parts: Iterable[Mapping[str, str]]) -> list[tuple[str, str]]:
    """Return the entries of all parts, each once."""
    return list(dict.fromkeys(entry for part in parts for entry in part.items()))


def _spaced(figure: str) -> str:
    return figure.replace("_", " ").replace(".", " ")


def _title(protocol: str) -> str:
    return RUNNERS[protocol].title if protocol in RUNNERS else protocol
