"""The one table of the encoders: the same rows in `ferkit models list` and in the README."""

from collections.abc import Iterable

from ferkit.encoders import DEFAULT_ENCODER
from ferkit.encoders.card import LEARNT_FROM
from ferkit.encoders.registry import EncoderEntry

COLUMNS = ("name", "network", "dim", "px", "learnt from", "MB", "licence")
"""What one chooses an encoder by. px is the side of the network's images, licence what one may do with the weights."""


def table_row(entry: EncoderEntry) -> tuple[str, ...]:
    """Return what stands in each of COLUMNS."""
    size = "?" if entry.bytes is None else f"{entry.bytes / 1e6:.1f}"
    pixels = f"{entry.input_size} gray" if entry.gray else str(entry.input_size)
    licence = entry.licences.weights if entry.licences else "not stated"
    return entry.name, entry.arch, str(entry.dim), pixels, LEARNT_FROM[entry.supervision], size, licence


def markdown_table(entries: Iterable[EncoderEntry]) -> str:
    """Return the table in Markdown, the default encoder marked."""
    lines = [COLUMNS, ("---",) * len(COLUMNS)]
    for entry in entries:
        name, *others = table_row(entry)
        lines.append((f"`{name}`" + (" (default)" if name == DEFAULT_ENCODER else ""), *others))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
