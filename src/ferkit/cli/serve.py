"""``ferkit serve``."""

from pathlib import Path
from typing import Annotated

import typer

from ferkit.cli.options import DeviceOpt, MovedEncoderOpt, optional
from ferkit.cli.output import ProgressBar


def serve(
    embeddings: Annotated[
        Path, typer.Argument(metavar="EMB.npy", help="Embedding set to look at, of `ferkit embed`.")
    ] = Path("emb.npy"),
    host: Annotated[
        str, typer.Option(help="Address to listen at; any but this machine's own puts a token into the link.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen at; 0 for any.", show_default="8321")
    ] = None,
    open: Annotated[
        bool | None, optional("Open a browser.", "--open/--no-open", default="where there is a desktop")
    ] = None,
    encoder: MovedEncoderOpt = None,
    device: DeviceOpt = None,
) -> None:
    """Open a page in the browser: search, look, and a map of the set."""
    from ferkit.web.server import has_desktop
    from ferkit.web.server import serve as run

    with ProgressBar() as progress:
        run(
            embeddings,
            host=host,
            port=port,
            open=has_desktop() if open is None else open,
            encoder=encoder,
            device=device,
            progress=progress,
        )
