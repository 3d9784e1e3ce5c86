"""How a long job tells how far it is, without knowing who listens."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "Silent"]


class Progress(Protocol):
    """A listener: the command line draws a bar, a program may do as it likes."""

    def start(self, task: str, total: float | None, done: float = 0, unit: str = "") -> None:
        """Begin ``task`` of ``total`` steps (None: not known), of which ``done`` are behind us."""

    def advance(self, steps: float = 1, note: str = "") -> None:
        """Say that ``steps`` more are done; ``note`` replaces the short text beside the bar."""

    def say(self, message: str) -> None:
        """Pass on one sentence that the user should see."""


class Silent:
    """The listener that ignores everything."""

    def start(self, task: str, total: float | None, done: float = 0, unit: str = "") -> None:
        """Ignore."""

    def advance(self, steps: float = 1, note: str = "") -> None:
        """Ignore."""

    def say(self, message: str) -> None:
        """Ignore."""
