"""ferkit models pull, push: encoders from the Hugging Face Hub, and to it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from ferkit.cli.options import JsonOpt
from ferkit.cli.output import ProgressBar, report, short_path
from ferkit.cli.words import typed

__all__ = ["pull", "push"]


def pull(
    name: Annotated[str, typer.Argument(help="A name of `ferkit models list`, or USER/NAME of the hub.")],
    update: Annotated[
        bool, typer.Option("--update", help="Take what the hub has now, not what it had at the first pull.")
    ] = False,
    json: JsonOpt = False,
) -> None:
    """Fetch an encoder from the Hugging Face Hub into its cache, and check it.

    HF_HOME, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE are heeded; a lost connection is taken up again.
    """
    from ferkit.workflows.hub import pull_encoder as run

    with ProgressBar() as progress:
        result = run(name, update=update, progress=progress)
    entry, weights = result.entry, result.entry.weights
    size = f"{(entry.bytes or 0) / 1e6:.1f} MB"
    where = f"{weights.repo} at {weights.revision}" if weights.kind == "hub" else f"{weights.kind}, nothing to fetch"
    lines = [
        f"[bold]{escape(entry.name)}[/]: {size} {'fetched' if result.fetched else 'there already'} ({escape(where)})",
        f"sha256 {entry.sha256}",
        escape(str(result.path)),
        f"next: ferkit embed faces/ -e {typed(result.source)}",
    ]
    fields = {"path": result.path, "fetched": result.fetched, "source": result.source}
    report("\n".join(lines), {**fields, "entry": entry.model_dump(mode="json")}, json=json)


def push(
    run_folder: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run folder, a .safetensors file or a name of `ferkit models list`.")
    ],
    repo: Annotated[str, typer.Option(metavar="USER/NAME", help="The repository; made where there is none.")],
    licence: Annotated[
        str | None,
        typer.Option("--license", help="What one may do with the weights.", show_default="what encoder.yaml says"),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="The training pictures and their licence.", show_default="what encoder.yaml says"),
    ] = None,
    private: Annotated[
        bool | None,
        typer.Option(
            "--private/--public",
            help="Who sees it.",
            show_default="a new repository is private, an old one stays as it is",
        ),
    ] = None,
    message: Annotated[str | None, typer.Option("--message", "-m", help="Of the commit.")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Push over another encoder; the repository's history keeps it.")
    ] = False,
    json: JsonOpt = False,
) -> None:
    """Put an encoder on the Hugging Face Hub: weights, config.json and a model card.

    Needs a token that may write: log in with `hf auth login`, or set HF_TOKEN.
    """
    from ferkit.workflows.hub import push_encoder as run

    with ProgressBar() as progress:
        result = run(
            str(run_folder),
            repo,
            licence=licence,
            data=data,
            private=private,
            message=message,
            overwrite=overwrite,
            progress=progress,
        )
    done = "pushed" if result.changed else "nothing to push, all of it is there"
    lines = [
        f"{escape(short_path(str(run_folder)))}: {done} ({'private' if result.private else 'public'}, {result.commit})",
        escape(result.url),
        f"next: ferkit embed faces/ -e {typed(f'hf-hub:{repo}')}",
    ]
    report("\n".join(lines), vars(result), json=json)
