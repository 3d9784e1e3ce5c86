"""ferkit models: the zoo."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from ferkit.cli.options import JsonOpt, KnownArg, optional
from ferkit.cli.output import ProgressBar, escape, out, report, short_path
from ferkit.cli.words import shell_path
from ferkit.encoders import DEFAULT_ENCODER
from ferkit.encoders.importing.origins import ORIGINS, Supervision

if TYPE_CHECKING:
    from ferkit.encoders.registry import EncoderEntry

app = typer.Typer(no_args_is_help=True, help="The zoo: the encoders that ferkit knows.")


@app.command("list")
def list_encoders(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the table of the README.")] = False,
    json: JsonOpt = False,
) -> None:
    """List the encoders, one line each; FERKIT_MODELS names files of your own."""
    from ferkit.encoders.card import markdown_table
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
    report([f"[bold]{escape(entry.name)}[/]", *lines], entry.model_dump(mode="json"), json=json)


@app.command("pull")
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
    from ferkit.encoders.hub_repo import pull_encoder as run

    with ProgressBar() as progress:
        result = run(name, update=update, progress=progress)
    entry, weights = result.entry, result.entry.weights
    size = f"{(entry.bytes or 0) / 1e6:.1f} MB"
    where = f"{weights.repo} at {weights.revision}" if weights.kind == "hub" else f"{weights.kind}, nothing to fetch"
    lines = [
        f"[bold]{escape(entry.name)}[/]: {size} {'fetched' if result.fetched else 'there already'} ({escape(where)})",
        f"sha256 {entry.sha256}",
        escape(str(result.path)),
        f"next: ferkit embed faces/ -e {shell_path(result.source)}",
    ]
    fields = {"path": result.path, "fetched": result.fetched, "source": result.source}
    report(lines, {**fields, "entry": entry.model_dump(mode="json")}, json=json)


@app.command("push")
def push(
    run_folder: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run folder, a .safetensors file or a name of `ferkit models list`.")
    ],
    repo: Annotated[str, typer.Option(metavar="USER/NAME", help="The repository; made where there is none.")],
    licence: Annotated[
        str | None, optional("What one may do with the weights.", "--license", default="what encoder.yaml says")
    ] = None,
    data: Annotated[
        str | None, optional("The training pictures and their licence.", default="what encoder.yaml says")
    ] = None,
    private: Annotated[
        bool | None,
        optional(
            "Who sees it.", "--private/--public", default="a new repository is private, an old one stays as it is"
        ),
    ] = None,
    message: Annotated[str | None, optional("Of the commit.", "--message", "-m")] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Push over another encoder; the repository's history keeps it.")
    ] = False,
    json: JsonOpt = False,
) -> None:
    """Put an encoder on the Hugging Face Hub: weights, config.json and a model card.

    Needs a token that may write: log in with `hf auth login`, or set HF_TOKEN.
    """
    about = {name: value for name, value in locals().items() if name not in ("run_folder", "repo", "json")}
    from ferkit.encoders.hub_push import push_encoder as run

    with ProgressBar() as progress:
        result = run(str(run_folder), repo, progress=progress, **about)
    done = "pushed" if result.changed else "nothing to push, all of it is there"
    lines = [
        f"{escape(short_path(str(run_folder)))}: {done} ({'private' if result.private else 'public'}, {result.commit})",
        escape(result.url),
        f"next: ferkit embed faces/ -e {shell_path(f'hf-hub:{repo}')}",
    ]
    report(lines, vars(result), json=json)


@app.command("import")
def import_encoder(
    file: Annotated[Path, typer.Argument(help="A .safetensors file, or a checkpoint that torch.save wrote.")],
    origin: Annotated[
        str, typer.Option("--from", metavar="ORIGIN", help=f"The code that wrote it: {', '.join(ORIGINS)}.")
    ],
    out: Annotated[Path | None, optional("Folder.", "--out", "-o", default="encoders/NAME")] = None,
    arch: Annotated[str | None, optional("The network's name in timm.", default="found by the shapes")] = None,
    name: Annotated[str | None, optional("Of the encoder.", default="ORIGIN-ARCH")] = None,
    input_size: Annotated[
        int | None,
        typer.Option(min=8, help="Side of the network's images in pixels.", show_default="what it was trained with"),
    ] = None,
    supervision: Annotated[
        Supervision | None, optional("What it learnt from.", default="what the method of --from does")
    ] = None,
    register: Annotated[
        bool, typer.Option("--register", help="Add it to your own models file, the first of FERKIT_MODELS.")
    ] = False,
    json: JsonOpt = False,
) -> None:
    """Make an encoder of weights that others published; no code in the file is ever run."""
    from ferkit.encoders.importing.import_encoder import import_encoder as run

    result = run(
        file, origin, out, arch=arch, name=name, input_size=input_size, supervision=supervision, register=register
    )
    entry = result.entry
    dropped = ", ".join(f"{count} of {part}" for part, count in result.dropped.items())
    entries = result.registered or result.folder / "encoder.yaml"
    lines = [
        f"[bold]{escape(entry.name)}[/]: {entry.arch}, vectors of {entry.dim}, {entry.input_size} px",
        f"left out: {escape(dropped)}" if dropped else "",
        f"written: {escape(str(result.folder))}",
        f"its licences and training faces are not in the file: state them in {escape(str(entries))}",
        f"next: ferkit embed faces/ -e {shell_path(entry.name if result.registered else result.folder)}",
    ]
    fields = {"folder": result.folder, "dropped": result.dropped, "registered": result.registered}
    report(filter(None, lines), {**fields, "entry": entry.model_dump(mode="json")}, json=json)


@app.command("export")
def export(
    name: Annotated[
        str,
        typer.Argument(help="A name of `ferkit models list`, a run folder, a .safetensors file or hf-hub:USER/NAME."),
    ],
    format: Annotated[
        str, typer.Option("--format", "-f", metavar="onnx|openvino|torchscript|safetensors", help="What to write.")
    ] = "onnx",
    out: Annotated[
        Path | None,
        optional("The file; for openvino and safetensors a folder.", "--out", "-o", default="named after NAME"),
    ] = None,
    json: JsonOpt = False,
) -> None:
    """Write an encoder for other programs: face crops in, vectors out; checked against PyTorch."""
    from ferkit.encoders.export import export_encoder as run

    with ProgressBar() as progress:
        result = run(name, format, out, progress=progress)
    named = f"{escape(result.encoder)} as {result.format}"
    parity = f"largest difference {result.difference:.1e}, least cosine {result.cosine:.6f}"
    lines = [
        f"[bold]{escape(str(result.path))}[/]: {named}, {result.bytes / 1e6:.1f} MB",
        f"parity with torch on {result.crops} crops: {parity}",
        f"takes {escape(result.input)}",
        f"gives {escape(result.output)}",
    ]
    report(lines, asdict(result), json=json)


@app.command("card")
def card(name: KnownArg) -> None:
    """Print an encoder's model card in Markdown, as `ferkit models push` puts it on the hub."""
    from ferkit.workflows.models import encoder_card as run

    typer.echo(run(name), nl=False)


@app.command("license")
def licences(json: JsonOpt = False) -> None:
    """List every licence: of ferkit, the encoders' code, weights and training data, and the packages below."""
    from ferkit.encoders.licences import list_licences as run

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


def _table(entries: list[EncoderEntry]) -> Table:
    from ferkit.encoders.card import COLUMNS, table_row

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
    from ferkit.encoders.card import LEARNT_FROM

    yield "network", f"{entry.arch}, vectors of {entry.dim}"
    gray = " in gray" if entry.gray else ""
    yield "images", f"{entry.input_size} px, showing the central {entry.field} px of {entry.crop!r} crops{gray}"
    yield "", f"mean {_numbers(entry.mean)}, std {_numbers(entry.std)}"
    yield "learnt from", LEARNT_FROM[entry.supervision]
    yield from _training(entry)
    if entry.head:
        yield "head", f"{entry.head.file}; {entry.head.data}"
    for metric in entry.all_metrics:
        interval = f" (95 %: {_numbers(metric.interval)})" if metric.interval else ""
        yield "measured", f"{metric.value:.3f}{interval} {metric.protocol}, on {metric.data}"
    if entry.licences:
        yield "licences", f"code: {entry.licences.code}"
        yield "", f"weights: {entry.licences.weights}"
        yield "", f"training data: {entry.licences.data}"
    if entry.paper:
        yield "paper", entry.paper
    megabytes = "?" if entry.bytes is None else f"{entry.bytes / 1e6:.1f}"
    weights = entry.weights
    place = f"hub, {weights.repo} at {weights.revision}" if weights.kind == "hub" else weights.kind
    yield "weights", f"{weights.file} ({place}), {megabytes} MB"
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


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)
