"""What a command line names is looked for before anything heavy is loaded, so that a typing error is told at once."""

from collections.abc import Iterable
from pathlib import Path

from ferkit.cli.completion import METHOD_NAMES
from ferkit.data.expressions import EXPRESSIONS, expression
from ferkit.encoders import DEFAULT_ENCODER
from ferkit.errors import MissingPathError, UnknownMethodError, UnknownNameError
from ferkit.pipeline import FACES

_MAKE_FACES = "make it with `ferkit align PHOTOS -o faces`, or name your own"
_PATTERN = set("*?[]{}#")  # of globs and of places inside a file, which the verb itself looks for


def require_names(
    *paths: Path | Iterable[Path] | None,
    encoder: str | Path | None = None,
    method: str | None = None,
    like: str | None = None,
) -> None:
    """Refuse a path that is not there, an encoder or a method that nobody knows; what may mean something else passes.

    ``like`` is a picture or an expression.

    Raises:
        MissingPathError: there is no such file or folder.
        UnknownEncoderError, UnknownMethodError, UnknownNameError: there is none of this name; says the nearest ones.
    """
    if like is not None and expression(like) not in EXPRESSIONS:
        if Path(like).name == like and not Path(like).suffix and not Path(like).exists():
            raise UnknownNameError(like, EXPRESSIONS, "picture or expression")
        paths = (*paths, Path(like))
    for given in paths:
        for path in [given] if isinstance(given, Path) else given or ():
            text = str(path)
            plain = text.isascii() and text != "-" and not _PATTERN & set(text)  # not ASCII: two spellings, one name
            if plain and not path.exists() and not _is_address(path):
                raise MissingPathError(path, _MAKE_FACES) if text == FACES else MissingPathError(path)
    if method is not None and method not in METHOD_NAMES:
        raise UnknownMethodError(method, METHOD_NAMES)
    if encoder is not None and encoder != DEFAULT_ENCODER:
        from ferkit.encoders.registry import require_encoder

        require_encoder(encoder)


def _is_address(path: Path) -> bool:
    from ferkit.data.stores import remote_url  # which brings a parser of YAML

    return remote_url(path) is not None
