"""The address of the page, and the server behind it."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import sys
import threading
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ferkit.errors import FerkitError, InputError
from ferkit.progress import Progress, Silent

if TYPE_CHECKING:
    from ferkit.web.guard import Door
    from ferkit.workflows.serve import Viewer

PORT = 8321
_LOOPBACK = frozenset({"127.0.0.1", "localhost"})


@dataclass(frozen=True)
class Served:
    """A page that was served until it was stopped."""

    path: Path  # the embedding set
    faces: int  # how many it holds
    link: str  # the page's address, with its token if it needed one


def serve(
    embeddings: str | Path = "emb.npy",
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    open: bool = False,
    encoder: str | Path | None = None,
    device: str | None = None,
    progress: Progress | None = None,
) -> Served:
    """Serve the page of an embedding set until Ctrl-C.

    Args:
        embeddings: the ``.npy`` file of an embedding set.
        host: address to listen at. Only ``127.0.0.1`` is this machine's alone; at any other the link carries a token,
            without which nothing is shown.
        port: port to listen at, 0 for any; None takes 8321, or any where that is in use.
        open: open the page in a browser.
        encoder: where the set's encoder lies now, if it moved.
        device: ``cpu``, ``cuda``, …; None takes the best one present.
        progress: told the link, and of weights that must be fetched.

    Raises:
        SetError: the set is missing or damaged. Where its encoder is not there any more, photos cannot be asked with.
        InputError: what serves it is not installed, or it cannot listen there.
    """
    try:
        import uvicorn

        from ferkit.web.app import make_app
        from ferkit.workflows.serve import Viewer
    except ModuleNotFoundError as error:
        raise InputError(f"the page needs {error.name!r}, which is not installed; pip install 'ferkit[web]'") from error
    progress = progress or Silent()
    viewer = Viewer(embeddings, encoder=encoder, device=device, progress=progress)
    with _listening(host, port) as listener:
        place: int = listener.getsockname()[1]
        door = _door(host, place)
        query = f"/?token={door.token}" if door.token else "/"
        link = f"http://{_shown(host)}:{place}{query}"
        # Answers need not be logged: their addresses hold what somebody asked.
        config = uvicorn.Config(
            make_app(viewer, door),
            log_level="error",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=2,
            timeout_keep_alive=75,
        )
        server = uvicorn.Server(config)
        warming = threading.Thread(target=_warm_up, args=(viewer, progress))
        warming.start()
        progress.say(f"{len(viewer.set):,} faces of {viewer.path} at {link} (Ctrl-C ends it)")
        if open:
            threading.Timer(0.5, webbrowser.open, [link]).start()
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])
    warming.join()  # Python must not end while torch is at work on a thread
    viewer.thumbnails.close()
    return Served(viewer.path, len(viewer.set), link)


def has_desktop() -> bool:
    """Say whether somebody sits before this machine who would see a browser open."""
    shown = sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
    return bool(shown) and sys.stdout.isatty()


def _warm_up(viewer: Viewer, progress: Progress) -> None:
    """Load the encoder while the first page is read already; without it the set can still be looked at."""
    try:
        viewer.warm_up()
    except FerkitError as error:
        progress.say(f"photos cannot be asked with: {error}")


def _listening(host: str, port: int | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, PORT if port is None else port), family=family)
    except (OSError, OverflowError) as error:
        if port is None and isinstance(error, OSError):
            with contextlib.suppress(OSError):
                return socket.create_server((host, 0), family=family)
        what = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot listen at {host}:{port}: {what}; give another --port, or 0 for any") from error


def _door(host: str, port: int) -> Door:
    from ferkit.web.guard import Door

    if host in _LOOPBACK:
        return Door(_LOOPBACK, port)
    names = {*_LOOPBACK, host.lower(), socket.gethostname().lower(), socket.getfqdn().lower()}
    return Door(names, port, secrets.token_urlsafe(24), any_address=True)


def _shown(host: str) -> str:
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 (compared, not listened at)
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
