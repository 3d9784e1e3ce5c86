"""How a user says that sources are to be read, where they do not say it themselves."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ferkit.data.sources.picture import LazyPictures, Picture
from ferkit.errors import InputError, UnknownColumnError

COLUMNS = ("image", "label", "identity", "clip", "time_s", "box", "valence", "arousal")
"""What a column of a table can hold for us."""

_LONGEST = 1024
"""Last letters of a path in which expressions are searched: some take the square of what they search in."""


@dataclass(frozen=True)
class SourceRules:
    """How sources are read; what is given here overrides what a source says of itself.

    Raises:
        InputError: an expression does not compile, or ``fps`` is not above 0.
        UnknownColumnError: a key of ``columns`` is not in `COLUMNS`.
    """

    # name of a known data set's layout (`ferkit.data.sources.layouts`); None reads what is there
    layout: str | None = None
    # regular expression searched in a picture's path, ``/`` between folders: the part below the folder that the user
    # named, the whole path of a lone file, a table's entry as it stands, the name of an archive's member. Its group
    # ``label``, else its first group, else all that matched is the label; None where nothing matches
    label_from: str | None = None
    identity_from: str | None = None  # the same for the identity, with the group ``identity``
    columns: Mapping[str, str] = field(default_factory=dict)  # the table's own name of any of `COLUMNS`
    fps: float | None = None  # frames per second of video to look at; None takes every frame

    def __post_init__(self) -> None:
        _require_expression("label", self.label_from)
        _require_expression("identity", self.identity_from)
        for name in self.columns:
            if name not in COLUMNS:
                raise UnknownColumnError(name, COLUMNS)
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise InputError(f"the frames per second must be a number above 0, not {self.fps}")

    def apply(self, picture: Picture, path: str) -> Picture:
        """Return ``picture`` with what its ``path`` says of it, where that is asked for."""
        if self.label_from is not None:
            picture = replace(picture, label=_matched_text("label", self.label_from, path))
        if self.identity_from is not None:
            picture = replace(picture, identity=_matched_text("identity", self.identity_from, path))
        return picture


def apply_rules(pictures: Sequence[Picture], root: Path, rules: SourceRules) -> LazyPictures[Picture]:
    """Return pictures below the folder ``root`` with what rules take from their paths."""
    folder = f"{root.as_posix()}/"
    return LazyPictures(pictures, lambda picture: rules.apply(picture, picture.source.removeprefix(folder)))


def _require_expression(name: str, expression: str | None) -> None:
    try:
        re.compile(expression or "")
    except re.error as error:
        raise InputError(
            f"the {name} cannot be taken from {expression!r}, which is no regular expression ({error}); "
            r"an example of one is '(\w+)_\d+'"
        ) from error


def _matched_text(group: str, expression: str, path: str) -> str | None:
    match = re.search(expression, path[-_LONGEST:])
    if match is None:
        return None
    if group in match.re.groupindex:
        return match[group] or None
    return match[min(1, match.re.groups)] or None
