"""How a long job tells how far it is, without knowing who listens."""

import logging
from typing import Protocol

from ferkit.errors import in_python

_LOGGER = logging.getLogger("ferkit")


class Progress(Protocol):
    """A listener: the command line draws a bar, a program may do as it likes."""

    def start(self, task: str, total: float | None, done: float = 0, unit: str = "") -> None:
        """Begin ``task`` of ``total`` steps (None: not known), of which ``done`` are behind us."""

    def advance(self, steps: float = 1, note: str = "") -> None:
        """Say that ``steps`` more are done; ``note`` replaces the short text beside the bar."""

    def say(self, message: str) -> None:
        """Pass on one sentence that the user should see."""


class Silent:
    """The listener of programs that name none: nothing is printed, and what is said goes to the logger ``ferkit``."""

    def start(self, task: str, total: float | None, done: float = 0, unit: str = "") -> None:
        """Log the task at level DEBUG."""
        _LOGGER.debug("%s: %s %s", task, "?" if total is None else f"{total:g}", unit)

    def advance(self, steps: float = 1, note: str = "") -> None:
        """Ignore."""

    def say(self, message: str) -> None:
        """Log the sentence at level INFO."""
        _LOGGER.info(in_python(message))


def duration(seconds: float) -> str:
    """Say a time in its two largest units: "45 s", "3 min 20 s", "2 h 5 min", "3 d 4 h"."""
    whole = round(seconds)
    for large, size, small, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size} {large} {whole % size // part} {small}"
    return f"{whole} s"
