"""Write the tables of encoders into README.md, from models.yaml (`make table`).

A table stands between ``<!-- NAME -->`` and ``<!-- end -->``; `encoders` is what `ferkit models list --markdown`
prints, `figures` the entries' metrics.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ferkit.encoders.card import markdown_table
from ferkit.encoders.registry import EncoderEntry, load_registry

README = Path(__file__).parents[1] / "README.md"


def figures_table(entries: Mapping[str, EncoderEntry]) -> str:
    """One row a metric, one column an encoder that has any; in brackets the 95 % interval."""
    measured = {name: entry for name, entry in entries.items() if entry.metrics}
    cells = {
        name: {(metric.protocol, metric.data): metric for metric in entry.metrics} for name, entry in measured.items()
    }
    lines = ["| | " + " | ".join(f"`{name}`" for name in measured) + " |", "|---" * (len(measured) + 1) + "|"]
    for protocol, data in dict.fromkeys(key for column in cells.values() for key in column):
        values = (_cell(column.get((protocol, data))) for column in cells.values())
        lines.append(f"| {data}: {protocol} | " + " | ".join(values) + " |")
    return "\n".join(lines)


def _cell(metric: object) -> str:
    value, interval = getattr(metric, "value", None), getattr(metric, "interval", None)
    if value is None:
        return "–"
    return _short(value) + (f" ({_short(interval[0])}–{_short(interval[1])})" if interval else "")


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")


def with_tables(text: str) -> str:
    """The README with its tables as they should be."""
    entries = load_registry(own=[])
    tables = {"encoders": markdown_table(entries.values()), "figures": figures_table(entries)}
    for name, table in tables.items():
        text = re.sub(rf"(<!-- {name} -->\n).*?(\n<!-- end -->)", lambda m, t=table: m[1] + t + m[2], text, flags=re.S)
    return text


if __name__ == "__main__":
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")
