"""Every error that ferkit raises on purpose.

    FerkitError                 1
    ├── InputError              2   what was given cannot be read or holds nothing usable
    │   ├── MissingPathError
    │   ├── NoImagesError
    │   ├── UnreadableImageError
    │   ├── UnreadableVideoError
    │   └── NoFaceError
    ├── UnknownNameError        3   a name that no table holds; says the nearest ones
    │   ├── UnknownColumnError
    │   ├── UnknownEncoderError
    │   ├── UnknownLayoutError
    │   ├── UnknownMethodError
    │   └── UnknownSettingError
    ├── WeightsError            4   weights missing, damaged, or not of the expected hash
    ├── SetError                5   a face set or embedding set that is incomplete or damaged
    │   └── EncoderMismatchError
    ├── OutputError             6   the result cannot be written; nothing was changed
    │   └── BusyError
    ├── TrainingError           7   pre-training cannot start or go on
    └── HubError                8   the Hugging Face Hub cannot be reached, refuses, or lacks what was asked for

The number is the command's exit status. A message is one sentence that carries the offending value and the next thing
to try; the command line prints it without a traceback. It is written in the command line's words, ``--overwrite``;
``str()`` of an error has Python's, ``overwrite=True``.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

_LONGEST = 6000  # two of the longest paths fit


class FerkitError(Exception):
    """Base of all errors that a user can mend; ``str()`` is one clear sentence."""

    exit_code = 1

    def __reduce__(self) -> tuple[Any, ...]:
        # Errors of workers come in pickles, and some are made of other arguments than the sentence that they hold.
        return _remade, (type(self), self.args), vars(self)

    def __str__(self) -> str:
        return in_python(self.command_line_text)

    @property
    def command_line_text(self) -> str:
        """The sentence with the options as they are typed; of a longer one, which quotes a hostile name, the ends."""
        text = super().__str__()
        return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} … {text[-_LONGEST // 2 :]}"


def _remade(kind: type[FerkitError], args: tuple[object, ...]) -> FerkitError:
    return kind.__new__(kind, *args)


_SWITCHES = {
    *("aligned", "compare", "dedupe", "face-swap", "overwrite", "private", "publish", "pictures", "register"),
    *("resume", "update"),
}
_OPPOSITES = {"detect": "aligned", "public": "private"}
_PARAMETERS = {"from": "origin", "license": "licence", "set": "settings", "label": "labels"}
"""Options whose parameter in Python has another name than they."""

_OPTION = re.compile(
    r"(?P<command>`ferkit [^`]*`)"
    r"|(?<![\w-])(?:--(?P<name>[a-z][a-z0-9-]*)"
    r"(?: (?P<value>[\w.]+=[\w.\[\],]*\w\]?|\d[\d.]*\b|[A-Z]{2,}\b))?|(?P<out>-o)\b)"
)


def in_python(words: str) -> str:
    """Say ``--min-size 40`` as ``min_size=40``; whole commands in backquotes stay as they are."""
    return _OPTION.sub(_as_argument, words)


def _as_argument(match: re.Match[str]) -> str:
    name, value = match["name"], match["value"]
    if match["command"] or match["out"]:
        return match["command"] or "out"
    argument = _PARAMETERS.get(name, name.replace("-", "_"))
    if name in _OPPOSITES:
        return f"{_OPPOSITES[name]}=False"
    if name in _SWITCHES:
        return f"{argument}=True" + (f" {value}" if value else "")
    if value and "=" in value:
        key, _, content = value.partition("=")
        known = content if re.fullmatch(r"[\d.\[\],]+", content) else repr(content)
        return f"{argument}={{{key!r}: {known}}}"
    return f"{argument}={value}" if value else argument


class InputError(FerkitError):
    """What was given cannot be read or holds nothing usable."""

    exit_code = 2


class MissingPathError(InputError):
    """The path does not exist."""

    def __init__(self, path: Path | str, hint: str = "check the spelling") -> None:
        super().__init__(f"there is no file or folder {str(path)!r}; {hint}")


class NoImagesError(InputError):
    """The source exists and holds no image that could be read."""


class UnreadableImageError(InputError):
    """The file is not an image, is damaged, or is cut short; ``why`` says which."""

    def __init__(self, source: Path | str, why: str) -> None:
        self.why = why
        super().__init__(
            f"cannot read {str(source)!r} as an image ({why}); give a complete JPEG, PNG, WebP, BMP or TIFF"
        )


class UnreadableVideoError(InputError):
    """The file is not a video, is damaged, or is cut short; ``why`` says which."""

    def __init__(self, source: Path | str, why: str) -> None:
        self.why = why
        super().__init__(f"cannot read {str(source)!r} as a video ({why}); give a complete MP4, MOV, MPG, AVI or WebM")


class NoFaceError(InputError):
    """No face was found where one is needed."""


class UnknownNameError(FerkitError):
    """A name that the table does not hold."""

    exit_code = 3
    kind = "entry"
    listing = ""

    def __init__(self, name: str, known: Iterable[str], kind: str = "") -> None:
        """Name the nearest of the ``known`` names; ``kind`` says of what, where the class does not."""
        known = sorted(known)
        near = get_close_matches(name, known, n=3, cutoff=0.55)
        rest = ", …" if len(known) > 8 else ""
        hint = f"did you mean: {', '.join(near)}?" if near else f"there are: {', '.join(known[:8])}{rest}"
        listing = f" ({self.listing})" if self.listing else ""
        super().__init__(f"no {kind or self.kind} named {name!r}; {hint}{listing}")


class UnknownEncoderError(UnknownNameError):
    """The name is neither in models.yaml nor a run folder nor a safetensors file."""

    kind = "encoder"
    listing = "see `ferkit models list`"


class UnknownColumnError(UnknownNameError):
    """What a column is said to hold is nothing that ferkit reads."""

    kind = "column to be set"


class UnknownLayoutError(UnknownNameError):
    """The name is not in LAYOUTS, or not of a split of its layout."""

    kind = "layout"


class UnknownMethodError(UnknownNameError):
    """The name is not in METHODS."""

    kind = "method"


class UnknownSettingError(UnknownNameError):
    """The setting does not exist for this method."""

    kind = "setting"


class WeightsError(FerkitError):
    """Weights are missing, damaged, or not the ones that the registry names."""

    exit_code = 4


class SetError(FerkitError):
    """A face set or embedding set is incomplete or damaged."""

    exit_code = 5


class EncoderMismatchError(SetError):
    """Vectors of one encoder were about to be compared with those of another."""


class OutputError(FerkitError):
    """The result cannot be written; nothing that was there has changed."""

    exit_code = 6


class BusyError(OutputError):
    """Another run is writing the same output; ``holder`` says which."""

    def __init__(self, target: Path | str, holder: str) -> None:
        who = f" ({holder})" if holder else ""
        super().__init__(
            f"another run{who} is writing {str(target)!r}; wait until it has ended, or choose another output"
        )


class TrainingError(FerkitError):
    """Pre-training cannot start or go on."""

    exit_code = 7


class HubError(FerkitError):
    """The Hugging Face Hub cannot be reached, refuses, or does not hold what was asked for."""

    exit_code = 8
