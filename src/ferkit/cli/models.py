"""ferkit models: what is in the zoo."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ferkit.cli.options import JsonOpt
from ferkit.cli.output import out, report
from ferkit.encoders import DEFAULT_ENCODER

if TYPE_CHECKING:
    from ferkit.encoders.registry import EncoderEntry

__all__ = ["app", "list_encoders", "show_encoder"]

app = typer.Typer(no_args_is_help=True, help="The zoo: the encoders that ferkit knows.")


@app.command("list")
def list_encoders(json: JsonOpt = False) -> None:
    """List the encoders, one line each."""
    from ferkit.workflows.models import list_encoders as run

    entries = run()
    if json:
        report(
            "",
            {"default": DEFAULT_ENCODER, "encoders": [entry.model_dump(mode="json") for entry in entries]},
            json=True,
        )
    else:
        out.print(_table(entries))


@app.command("show")
def show_encoder(
    name: Annotated[str, typer.Argument(help="A name of `ferkit models list`.")], json: JsonOpt = False
) -> None:
    """Show all that is known of one encoder: its images, training, figures and licences."""
    from ferkit.workflows.models import show_encoder as run

    entry = run(name)
    lines = [f"{label:<12} {escape(text)}" for label, text in _facts(entry)]
    report("\n".join([f"[bold]{escape(entry.name)}[/]", *lines]), entry.model_dump(mode="json"), json=json)


def _table(entries: list[EncoderEntry]) -> Table:
    table = Table(box=None, caption="* the default", caption_justify="left")
    for title in ("name", "network", "dim", "px", "learnt from", "MB"):
        table.add_column(title, no_wrap=True)
    table.add_column("licence")
    for entry in entries:
        mark = " *" if entry.name == DEFAULT_ENCODER else ""
        sizes = (str(entry.dim), str(entry.input_size))
        cells = (entry.name + mark, entry.arch, *sizes, _learnt_from(entry), _megabytes(entry), _licence(entry))
        table.add_row(*(escape(cell) for cell in cells))
    return table


def _facts(entry: EncoderEntry) -> Iterator[tuple[str, str]]:
    """Yield label and text of each line; a line without a label goes on with the one before."""
    yield "network", f"{entry.arch}, vectors of {entry.dim}"
    yield "images", f"{entry.input_size} px, showing the central {entry.field} px of {entry.crop!r} crops"
    yield "", f"mean {_numbers(entry.mean)}, std {_numbers(entry.std)}"
    yield "learnt from", _learnt_from(entry)
    yield from _training(entry)
    for metric in entry.metrics:
        interval = f" (95 %: {_numbers(metric.interval)})" if metric.interval else ""
        yield "measured", f"{metric.value:.3f}{interval} {metric.protocol}, on {metric.data}"
    if entry.licences:
        yield "licences", f"code: {entry.licences.code}"
        yield "", f"weights: {entry.licences.weights}"
        yield "", f"training data: {entry.licences.data}"
    if entry.paper:
        yield "paper", entry.paper
    yield "weights", f"{entry.weights.file} ({entry.weights.kind}), {_megabytes(entry)} MB"
    yield "sha256", entry.sha256


def _training(entry: EncoderEntry) -> Iterator[tuple[str, str]]:
    trained = entry.trained_on
    if trained is None:
        return
    yield "method", trained.method
    yield "trained on", trained.data
    counts = [f"{number} {what}" for what, number in (("faces", trained.faces), ("steps", trained.steps)) if number]
    if counts:
        yield "", ", ".join(counts)
    if trained.recipe:
        yield "recipe", trained.recipe
    if trained.commit:
        yield "commit", trained.commit


def _learnt_from(entry: EncoderEntry) -> str:
    return {"none": "nothing (random)", "unsupervised": "no labels", "weak": "coarse labels"}.get(
        entry.supervision, "labels"
    )


def _licence(entry: EncoderEntry) -> str:
    return entry.licences.weights if entry.licences else "not stated"


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _megabytes(entry: EncoderEntry) -> str:
    return f"{entry.bytes / 1e6:.1f}"
