"""Names that stand for several files: globs and brace patterns that no shell has expanded."""

import glob
import re
from collections.abc import Iterator
from pathlib import Path

from ferkit.data.sources.tree import natural_key
from ferkit.errors import InputError, MissingPathError

_MAGIC = re.compile(r"[*?[]")


def expand_pattern(path: Path) -> Iterator[Path]:
    """Yield the files and folders that a name means: itself if it exists, else what its pattern matches.

    ``*``, ``?`` and ``[...]`` match as in a shell, in natural order; ``**`` matches folders of any depth (then only
    files are taken, since folders hold the same again); ``{000..099}`` and ``{a,b}`` name every file one by one.

    Raises:
        MissingPathError: nothing has this name, or not every file of a brace pattern exists.
        InputError: a glob matches nothing, or a brace pattern is not closed.
    """
    if _exists(path):
        yield path
    elif "{" in str(path):
        for part in _braces(str(path)):
            yield from expand_pattern(Path(part))
    elif _MAGIC.search(str(path)):
        yield from _matches(path)
    else:
        # A Path has made one slash of an address's two.
        is_address = re.match(r"[a-z][a-z0-9]+:/", str(path))
        raise MissingPathError(path, "download it and name the file" if is_address else "check the spelling")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise InputError(f"cannot look into {str(path)!r}: {error.strerror}; check its permissions") from error


def _matches(path: Path) -> list[Path]:
    found = [Path(match) for match in glob.glob(str(path), recursive=True)]  # noqa: PTH207 (Path.glob takes no absolute pattern)
    if "**" in path.parts:
        found = [match for match in found if match.is_file()]
    if not found:
        raise InputError(f"no file matches {str(path)!r}; check the spelling")
    return sorted(found, key=lambda match: [natural_key(part) for part in match.parts])


def _braces(pattern: str) -> list[str]:
    try:
        from braceexpand import braceexpand
    except ImportError as error:
        raise InputError(
            f"the brace pattern {pattern!r} needs the package braceexpand; `pip install 'ferkit[shards]'`"
        ) from error
    try:
        names = list(braceexpand(pattern))
    except ValueError as error:
        raise InputError(f"the braces of {pattern!r} do not match ({error}); write {{000..099}} or {{a,b}}") from error
    if names == [pattern]:
        raise MissingPathError(pattern)
    return names
