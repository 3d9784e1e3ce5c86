"""Numbers and paths as the summaries of the commands say them."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.markup import escape

__all__ = ["counted", "typed"]


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 face``, ``1,234 faces``; ``many`` where that is not ``one`` with an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def typed(path: Path | str) -> str:
    """Return a path as one types it into a shell, as rich markup."""
    return escape(shlex.quote(str(path)))
