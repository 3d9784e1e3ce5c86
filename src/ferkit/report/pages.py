"""Pages: their templates, the one style sheet, and pages that are saved as one file each."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ferkit._version import __version__
from ferkit.atomic import atomic_path, output_errors
from ferkit.data.media import VIDEO_SUFFIXES
from ferkit.errors import OutputError
from ferkit.pipeline.thumbnails import jpeg

if TYPE_CHECKING:
    import numpy as np
    from jinja2 import Environment
    from numpy.typing import NDArray

_GENERATOR = f'<meta name="generator" content="ferkit {__version__[:1]}'.encode()
_HERE = "ferkit.report"


def page_templates(*packages: str) -> Environment:
    """Return the templates of saved pages, behind those of other packages; what they fill in is escaped.

    Args:
        packages: with a folder ``templates`` each, such as ``ferkit.web``.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    loaders = [*map(PackageLoader, (*packages, _HERE)), PackageLoader(_HERE, "static")]
    environment = Environment(
        loader=ChoiceLoader(loaders), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals["version"] = __version__
    return environment


def page_text(template: str, **values: Any) -> str:  # noqa: ANN401 (whatever the template fills in)
    """Return a page that needs no other file: the style sheet and all pictures are in it, and it runs no script."""
    return page_templates().get_template(template).render(**values)


def check_page_output(path: Path) -> None:
    """Refuse a name that is no page's, and to replace a page that is not ferkit's.

    Raises:
        OutputError: it is one of these.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise OutputError(f"a page's name ends in .html, and {str(path)!r} does not; try '{path}.html'")
    if not path.exists():
        return
    with output_errors(path):
        ours = _GENERATOR in path.read_bytes()[:4096]
    if not ours:
        raise OutputError(f"{str(path)!r} is there already and is no page of ferkit's; choose another output")


def save_page(text: str, path: Path) -> None:
    """Write a page of `page_text`.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")  # names may hold bytes of no text


def data_url(content: bytes, kind: str = "jpeg") -> str:
    """Return the bytes of a picture file as a ``data:`` address."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def tile_picture(crop: NDArray[np.uint8] | str) -> dict[str, str | None]:
    """Return what the templates show of an (H, W, 3) uint8 RGB crop, or of the words that stand in its place."""
    if isinstance(crop, str):
        return {"image": None, "text": str(crop)}
    return {"image": data_url(jpeg(crop)), "text": None}


def source_url(source: str, time_s: float | None) -> str:
    """Return the address of a picture's file; of a frame its video's, at its time."""
    path, mark, _ = source.rpartition("#")
    if not mark or Path(source).exists():
        return Path(source).as_uri()
    at = "" if time_s is None or Path(path).suffix.lower() not in VIDEO_SUFFIXES else f"#t={time_s:.2f}"
    return Path(path).as_uri() + at


def clock(seconds: float) -> str:
    """``2.5 s`` below a minute, then ``1:02.5``, ``1:00:02.5``."""
    if seconds < 60:
        return f"{seconds:g} s"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{rest:04.1f}".removesuffix(".0")
    return f"{hours}:{minutes:02d}:{text}" if hours else f"{minutes}:{text}"
