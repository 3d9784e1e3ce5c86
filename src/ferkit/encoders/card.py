"""The encoders for people: the one table of the README and of `ferkit models list`, and the model card of one."""

import json
import re
import shlex
from collections.abc import Iterable, Iterator

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

_LIMITS = (
    "An expression is not an emotion: what a face shows says little about what a person feels. Do not use this encoder "
    "to judge people: not for hiring, policing, grading, health or lie detection.",
    "Identity is in the vectors. Treat them like the photos they were made from, and leave the query's own person out "
    "of a search where you know it.",
    "It expects crops aligned by five points; profiles, covered faces and faces under about 20 px are embedded poorly.",
    "Quality differs between ages, skin tones and kinds of pictures, as its training faces do: measure it on your own "
    "before you rely on it.",
)
_UNMEASURED = "Nothing was measured with it, so how well it tells expressions apart is unknown."
_UNLICENSED = "Nobody stated what one may do with these weights or their training pictures; ask whoever made them."


def model_card(entry: EncoderCard, source: str | None = None) -> str:
    """Return the card as the Hugging Face Hub shows one: YAML front matter and Markdown.

    Args:
        entry: of models.yaml, or of a run or an import.
        source: what users give to ``ferkit embed --encoder`` and `load_encoder`, such as ``hf-hub:user/name``; None
            takes the entry's name.
    """
    sections = [
        ("Images", _images(entry)),
        ("Training", _training(entry)),
        ("Figures", _figures(entry)),
        ("Licences", _licences(entry)),
        ("Limits", _limits(entry)),
        ("How to use", _usage(entry, source or entry.name)),
    ]
    body = [f"# {entry.name}", _summary(entry)]
    for title, lines in sections:
        body += [f"## {title}", "\n".join(lines)]
    front = yaml.safe_dump(_front_matter(entry), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n" + "\n\n".join(body) + "\n"


def _front_matter(entry: EncoderCard) -> dict[str, object]:
    method = entry.trained_on.method if entry.trained_on else None
    learnt = {"none": "random", "weak": "weakly-supervised", "unknown": None}.get(entry.supervision, entry.supervision)
    tags = ["facial-expression-recognition", "image-retrieval", "timm", entry.arch, learnt, method]
    return {
        **_licence_fields(entry),
        "library_name": "ferkit",
        "pipeline_tag": "image-feature-extraction",
        "tags": list(dict.fromkeys(tag for tag in tags if tag)),
    }


def _licence_fields(entry: EncoderCard) -> dict[str, object]:
    stated = entry.licences.weights if entry.licences else "not stated"
    if (spdx := stated.lower()) in _HUB_LICENCES:
        return {"license": spdx}
    return {"license": "other", "license_name": re.sub(r"[^a-z0-9.]+", "-", spdx).strip("-")}


def _summary(entry: EncoderCard) -> str:
    return (
        f"An encoder of facial expressions for ferkit {__version__}: "
        f"`{entry.arch}`, which turns an aligned face into a vector of {entry.dim}. It learnt from "
        f"{LEARNT_FROM[entry.supervision]}."
    )


def _images(entry: EncoderCard) -> Iterator[str]:
    yield (
        f"- RGB, {entry.input_size} × {entry.input_size} px"
        + (", brought to gray first" if entry.gray else "")
        + (", with its mirror image" if entry.flip else "")
    )
    yield f"- the central {entry.field} px of a crop aligned to the template `{entry.crop}`"
    yield f"- scaled to [0, 1], mean {_numbers(entry.mean)}, standard deviation {_numbers(entry.std)}"


def _training(entry: EncoderCard) -> Iterator[str]:
    trained = entry.trained_on
    if trained is None:
        yield "- none: the weights are random" if entry.supervision == "none" else "- not stated"
        return
    yield f"- method: {trained.method}" + (f" ({entry.paper})" if entry.paper else "")
    yield f"- data: {trained.data or 'not stated'}"
    if isinstance(entry, EncoderEntry) and entry.head:
        yield f"- expression head, fitted on labels: {entry.head.data}"
    counts = [f"{number:,} {what}" for what, number in (("faces", trained.faces), ("steps", trained.steps)) if number]
    if counts:
        yield f"- {', '.join(counts)}"
    if trained.recipe:
        yield f"- recipe: `{trained.recipe}`" + (f", commit {trained.commit}" if trained.commit else "")


def _figures(entry: EncoderCard) -> Iterator[str]:
    metrics = entry.all_metrics if isinstance(entry, EncoderEntry) else entry.metrics
    if not metrics:
        yield _UNMEASURED
        return
    yield "| protocol | data | value | 95 % interval |"
    yield "|---|---|---|---|"
    for metric in metrics:
        interval = " – ".join(f"{end:.3f}" for end in metric.interval) if metric.interval else "not stated"
        yield f"| {_cell(metric.protocol)} | {_cell(metric.data)} | {metric.value:.3f} | {interval} |"
    yield ""
    yield "Figures of different protocols or data are not comparable."


def _licences(entry: EncoderCard) -> Iterator[str]:
    if entry.licences is None:
        yield _UNLICENSED
        return
    yield f"- code: {entry.licences.code}"
    yield f"- weights: {entry.licences.weights}"
    yield f"- training data: {entry.licences.data}"


def _limits(entry: EncoderCard) -> Iterator[str]:
    yield from (f"- {limit}" for limit in _LIMITS)
    if entry.supervision == "weak":
        yield "- Its labels were coarse classes; differences inside one of them it has not been taught."
    if entry.supervision == "none":
        yield "- Its weights are random: the floor that others are measured against, of no other use."


def _usage(entry: EncoderCard, source: str) -> Iterator[str]:
    yield "```console"
    yield "pip install ferkit"
    yield f"ferkit embed photos/ -e {shlex.quote(source)} -o emb.npy"
    yield "ferkit retrieve query.jpg"
    yield "```"
    yield ""
    yield "```python"
    yield "import ferkit"
    yield ""
    yield f"encoder = ferkit.load_encoder({json.dumps(source, ensure_ascii=False)})"
    yield f"vectors = encoder.embed(crops)  # (N, 128, 128, 3) uint8 RGB -> (N, {entry.dim}) of length 1"
    yield "```"
    if isinstance(entry, EncoderEntry) and entry.sha256 and entry.bytes:
        yield ""
        yield f"`{entry.weights.file}`, {entry.bytes:,} bytes, SHA-256 `{entry.sha256}`"


def _cell(text: str) -> str:
    """Text in a cell of a Markdown table."""
    return " ".join(text.replace("|", r"\|").split())


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


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
