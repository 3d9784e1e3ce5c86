"""ferkit models card, license: what an encoder is, and what one may do with it."""

from __future__ import annotations

import typer
from rich.markup import escape
from rich.table import Table

from ferkit.cli.options import JsonOpt, KnownArg
from ferkit.cli.output import out, report

__all__ = ["card", "licences"]


def card(name: KnownArg) -> None:
    """Print an encoder's model card in Markdown, as `ferkit models push` puts it on the hub."""
    from ferkit.workflows.models import encoder_card as run

    typer.echo(run(name), nl=False)


def licences(json: JsonOpt = False) -> None:
    """List every licence: of ferkit, the encoders' code, weights and training data, and the packages below."""
    from ferkit.workflows.licences import list_licences as run

    lines = run()
    if json:
        report("", {"licences": [vars(line) for line in lines]}, json=True)
        return
    table = Table(box=None)
    for title in ("part", "what", "licence"):
        table.add_column(title, no_wrap=title != "licence")
    for line in lines:
        table.add_row(*(escape(cell) for cell in vars(line).values()))
    out.print(table)
