"""The encoders for people: the one table of the README and of `ferkit models list`, and the model card of one."""

import json
import re
import shlex
from collections.abc import Iterable
from pathlib import Path

import yaml

from ferkit._version import __version__
from ferkit.encoders import DEFAULT_ENCODER
from ferkit.encoders.registry import EncoderCard, EncoderEntry

LEARNT_FROM = {
    "none": "nothing (random)",
    "unsupervised": "no labels",
    "weak": "coarse labels",
    "supervised": "labels",
    "unknown": "what its makers do not say",
}
"""What each kind of `EncoderCard.supervision` means, in words."""

_HUB_LICENCES = frozenset(
    {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0"}
    | {"cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0"}
)
"""Identifiers that the Hugging Face Hub knows; any other licence is ``other`` with a name."""

_TEMPLATE = Path(__file__).with_name("model_card.md")


def model_card(entry: EncoderCard, source: str | None = None) -> str:
    """Return the card as the Hugging Face Hub shows one: YAML front matter and Markdown, by ``model_card.md``.

    Args:
        entry: of models.yaml, or of a run or an import.
        source: what users give to ``ferkit embed --encoder`` and `load_encoder`, such as ``hf-hub:user/name``; None
            takes the entry's name.
    """
    from jinja2 import Environment  # the command line loads this file for its table

    source = source or entry.name
    environment = Environment(trim_blocks=True, keep_trailing_newline=True, autoescape=False)  # noqa: S701 (Markdown)
    environment.filters["cell"] = _cell
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        card=entry,
        trained=entry.trained_on,
        metrics=entry.all_metrics if isinstance(entry, EncoderEntry) else entry.metrics,
        learnt_from=LEARNT_FROM[entry.supervision],
        front_matter=yaml.safe_dump(_front_matter(entry), sort_keys=False, allow_unicode=True),
        shell_source=shlex.quote(source),
        python_source=json.dumps(source, ensure_ascii=False),
        version=__version__,
    )


def _front_matter(entry: EncoderCard) -> dict[str, object]:
    licence = (entry.licences.weights if entry.licences else "not stated").lower()
    other = {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", licence).strip("-")}
    learnt = {"none": "random", "weak": "weakly-supervised", "unknown": None}.get(entry.supervision, entry.supervision)
    method = entry.trained_on and entry.trained_on.method
    tags = ["facial-expression-recognition", "image-retrieval", "timm", entry.arch, learnt, method]
    return {
        **({"license": licence} if licence in _HUB_LICENCES else other),
        "library_name": "ferkit",
        "pipeline_tag": "image-feature-extraction",
        "tags": list(dict.fromkeys(tag for tag in tags if tag)),
    }


def _cell(text: str) -> str:
    """Text in a cell of a Markdown table."""
    return " ".join(text.replace("|", r"\|").split())


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
