"""What a command line names is looked for before anything heavy is loaded, so that a typing error is told at once."""

from collections.abc import Iterable
from pathlib import Path

from ferkit.encoders import DEFAULT_ENCODER
from ferkit.errors import MissingPathError

_PATTERN = set("*?[]{}#")  # of globs and of places inside a file, which the verb itself looks for


def require_names(*paths: Path | Iterable[Path] | None, encoder: str | Path | None = None) -> None:
    """Refuse a path that is not there, or an encoder that nobody knows; what may mean something else passes.

    Raises:
        MissingPathError: there is no such file or folder.
        UnknownEncoderError: there is no encoder of this name; says the nearest ones.
    """
    for given in paths:
        for path in [given] if isinstance(given, Path) else given or ():
            text = str(path)
            plain = text.isascii() and text != "-" and not _PATTERN & set(text)  # not ASCII: two spellings, one name
            if plain and text != "faces" and not path.exists():  # a set called faces: the verb says how to make it
                raise MissingPathError(path)
    if encoder is not None and encoder != DEFAULT_ENCODER:
        from ferkit.encoders.registry import require_encoder

        require_encoder(encoder)
