"""ferkit models: what is in the zoo."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from ferkit.cli import cards, hub, import_encoder, models_export
from ferkit.cli.options import JsonOpt, KnownArg
from ferkit.cli.output import out, report
from ferkit.encoders import DEFAULT_ENCODER

if TYPE_CHECKING:
    from ferkit.encoders.registry import EncoderEntry

__all__ = ["app", "list_encoders", "show_encoder"]

app = typer.Typer(no_args_is_help=True, help="The zoo: the encoders that ferkit knows.")


@app.command("list")
def list_encoders(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table of the README.")] = False,
    json: JsonOpt = False,
) -> None:
    """List the encoders, one line each; FERKIT_MODELS names files of your own."""
    from ferkit.encoders.table import markdown_table
    from ferkit.workflows.models import list_encoders as run

    entries = run()
    if markdown:
        typer.echo(markdown_table(entries))
    elif json:
        report(
            "",
            {"default": DEFAULT_ENCODER, "encoders": [entry.model_dump(mode="json") for entry in entries]},
            json=True,
        )
    else:
        out.print(_table(entries))


@app.command("show")
def show_encoder(name: KnownArg, json: JsonOpt = False) -> None:
    """Show all that is known of one encoder: its images, training, figures and licences."""
    from ferkit.workflows.models import show_encoder as run

    entry = run(name)
    lines = [f"{label:<12} {escape(text)}" for label, text in _facts(entry)]
    report("\n".join([f"[bold]{escape(entry.name)}[/]", *lines]), entry.model_dump(mode="json"), json=json)


app.command("pull")(hub.pull)
app.command("push")(hub.push)
app.command("import")(import_encoder.import_encoder)
app.command("export")(models_export.export)
app.command("card")(cards.card)
app.command("license")(cards.licences)


def _table(entries: list[EncoderEntry]) -> Table:
    from ferkit.encoders.table import COLUMNS, table_row

    table = Table(box=None, caption="* the default", caption_justify="left")
    name, *others = COLUMNS
    table.add_column(name, no_wrap=True)
    for title, width in zip(others, (None, 4, 3, 8, 4, 10), strict=True):
        table.add_column(title, min_width=width, overflow="fold")
    for entry in entries:
        name, *others = table_row(entry)
        mark = " *" if entry.name == DEFAULT_ENCODER else ""
        table.add_row(*(escape(cell) for cell in (name + mark, *others)))
    return table


def _facts(entry: EncoderEntry) -> Iterator[tuple[str, str]]:
    """Yield label and text of each line; a line without a label goes on with the one before."""
    yield "network", f"{entry.arch}, vectors of {entry.dim}"
    gray = " in gray" if entry.gray else ""
    yield "images", f"{entry.input_size} px, showing the central {entry.field} px of {entry.crop!r} crops{gray}"
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
    yield "weights", f"{entry.weights.file} ({_place(entry)}), {_megabytes(entry)} MB"
    yield "sha256", entry.sha256 or "recorded when it is first pulled"


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
    from ferkit.encoders.card import LEARNT_FROM

    return LEARNT_FROM[entry.supervision]


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)


def _megabytes(entry: EncoderEntry) -> str:
    return "?" if entry.bytes is None else f"{entry.bytes / 1e6:.1f}"


def _place(entry: EncoderEntry) -> str:
    weights = entry.weights
    return f"hub, {weights.repo} at {weights.revision}" if weights.kind == "hub" else weights.kind
