"""Pictures that ferkit draws carry its name, so that they replace one another and never a photo."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import ExifTags, Image

from ferkit.atomic import atomic_path, output_errors
from ferkit.errors import OutputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIGNATURE = b"drawn by ferkit"


def require_replaceable(path: Path, given: Iterable[Path] = ()) -> None:
    """Refuse to draw a picture where something else lies.

    Args:
        path: file that is to be written.
        given: what the picture is made of.

    Raises:
        OutputError: ``path`` is one of ``given``, or a file that `save_picture` did not write.
    """
    if not path.is_file():
        return
    if any(each.exists() and path.samefile(each) for each in given):
        raise OutputError(f"{str(path)!r} is what the picture is made of, and would be lost; choose another output")
    with output_errors(path):
        ours = _SIGNATURE in path.read_bytes()
    if not ours:
        raise OutputError(
            f"{str(path)!r} is there already and was not drawn by ferkit; choose another output, or remove it first"
        )


def check_picture_output(path: Path, given: Iterable[Path] = ()) -> None:
    """Do as `require_replaceable`, and refuse a name that does not end in ``.png``."""
    if path.suffix.lower() != ".png":
        raise OutputError(f"a picture's name ends in .png, and {str(path)!r} does not; try {path.name + '.png'!r}")
    require_replaceable(path, given)


def save_picture(picture: Image.Image | Figure, path: Path, **options: Any) -> None:  # noqa: ANN401
    """Write a picture in the format of the name's suffix, a figure as PNG, with ferkit's name in it.

    Equal pictures give equal bytes.

    Args:
        picture: what was drawn.
        path: file to write or replace.
        options: of the format, as `PIL.Image.Image.save` takes them.

    Raises:
        OutputError: it cannot be written.
    """
    exif = Image.Exif()
    exif[ExifTags.Base.Software] = _SIGNATURE.decode()
    with atomic_path(path) as partial:
        if isinstance(picture, Image.Image):
            picture.save(partial, exif=exif, comment=_SIGNATURE, **options)  # a GIF has comments only
        else:
            _save_figure(picture, partial, exif)


def _save_figure(figure: Figure, path: Path, exif: Image.Exif) -> None:
    from matplotlib import rc_context
    from matplotlib.text import Text

    with rc_context({"text.parse_math": False}):  # a label that holds a $ is no formula
        for text in figure.findobj(Text):
            text.set_parse_math(False)
        # Without matplotlib's version in the file, so that equal pictures are equal bytes.
        figure.savefig(path, format="png", metadata={"Software": None}, pil_kwargs={"exif": exif})
