"""The command line: one file a verb, nothing heavy at import."""

from ferkit.cli import interrupts  # isort: skip  # noqa: F401 (before all that takes long to import)

import errno
import gc
import os
import signal
import sys
import warnings
from io import TextIOWrapper
from typing import Annotated
from urllib.parse import urlsplit

import typer

from ferkit._version import __version__
from ferkit.cli import (
    align,
    best,
    compare,
    demo,
    embed,
    export,
    faces,
    index,
    models,
    moments,
    pretrain,
    probe,
    recognise,
    retrieve,
    serve,
    timeline,
    warp_preview,
)
from ferkit.cli.output import err, escape
from ferkit.errors import FerkitError, HubError, OutputError

__all__ = ["app", "main"]

_INTERRUPTED = 130  # typer turns Ctrl-C into this exit status, without a word
_OF_OPENCV = ("libGL", "libgthread", "libglib")  # what slim images lack
_OF_TORCHVISION = "operator torchvision::"  # what one that was built for another torch lacks

app = typer.Typer(
    name="ferkit",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("align")(align.align)
app.command("pretrain")(pretrain.pretrain)
app.command("embed")(embed.embed)
app.command("probe")(probe.probe)
app.command("index")(index.index)
app.command("retrieve")(retrieve.retrieve)
app.command("compare")(compare.compare)
app.command("moments")(moments.moments)
app.command("timeline")(timeline.timeline)
app.command("best")(best.best)
app.command("recognise")(recognise.recognise)
app.command("recognize", hidden=True)(recognise.recognise)
app.command("serve")(serve.serve)
app.command("export")(export.export)
app.command("warp-preview")(warp_preview.warp_preview)
app.command("demo")(demo.demo)
app.add_typer(faces.app, name="faces")
app.add_typer(models.app, name="models")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ferkit {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Find the same expression on another person: facial-expression representation, learnt without labels."""
    _require_address()


def main() -> None:
    """Run the command line; a `FerkitError` becomes one sentence and its exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # names that the terminal's encoding lacks
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    gc.set_threshold(700_000)  # more than imports make, none of which is garbage: a tenth of their time
    warnings.filterwarnings("ignore", module=r"PIL\.")  # what is wrong with a picture is told in its place
    try:
        _run()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        # What is left in the buffers would fail once more, with a traceback, when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        err.print(f"[bold red]error:[/] the output cannot be written: {error.strerror}; send it elsewhere")
        sys.exit(OutputError.exit_code)


def _run() -> None:
    try:
        try:
            app()
        finally:
            sys.stdout.flush()
    except FerkitError as error:
        err.print(f"[bold red]error:[/] {escape(error.command_line_text)}")
        sys.exit(error.exit_code)
    except ImportError as error:
        if not str(error).startswith(_OF_OPENCV):
            raise
        err.print(
            f"[bold red]error:[/] OpenCV cannot be loaded: {escape(str(error))}; on Debian and Ubuntu install what it "
            "needs by `apt-get install libgl1 libglib2.0-0`"
        )
        sys.exit(FerkitError.exit_code)
    except RuntimeError as error:
        if not str(error).startswith(_OF_TORCHVISION):
            raise
        err.print(
            "[bold red]error:[/] torchvision was built for another torch than the installed one; install both from one "
            "index, such as `pip install --force-reinstall torch torchvision --index-url "
            "https://download.pytorch.org/whl/cpu`"
        )
        sys.exit(FerkitError.exit_code)
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            err.print("interrupted; what was finished is kept")
        raise


def _require_address() -> None:
    """Refuse an HF_ENDPOINT at which the hub's client breaks as soon as it is loaded, which timm does as well."""
    try:
        _ = urlsplit(os.environ.get("HF_ENDPOINT", "")).port
    except ValueError as error:
        raise HubError("HF_ENDPOINT is no address of a hub; correct or unset it") from error
