"""What the names of files in folders and archives say: their order, and what is to be passed over."""

import re
from collections.abc import Sequence
from pathlib import Path


def natural_key(name: str) -> tuple[list[str | tuple[int, str]], str]:
    """Return what sorts names as people do: "2" before "10", capitals beside small letters."""
    # The split alternates text and digits, so that text is only ever compared with text.
    parts = re.split(r"(\d+)", name.casefold())
    return [_number(part) if number % 2 else part for number, part in enumerate(parts)], name


def _number(digits: str) -> tuple[int, str]:
    """Digits as a value that sorts as their number does, however many there are."""
    significant = digits.lstrip("0")
    return len(significant), significant


def is_there(path: Path) -> bool:
    """Say whether a file or folder exists; what cannot be one, such as a page of text, does not."""
    try:
        return path.exists()
    except OSError:
        return False


def member_parts(name: str) -> tuple[str, ...]:
    """Return the names of a member's folders and its own, without those that stay where they are or lead upward."""
    return tuple(part for part in re.split(r"[/\\]", name) if part not in ("", ".", ".."))


_MADE_BY_DEVICES = frozenset(
    {"__macosx", "@eadir", "@__thumb", "#recycle", "#snapshot", "$recycle.bin", "lost+found"}
    | {"system volume information", "@recycle", "@tmp", "recycler"}
)


def is_hidden(parts: Sequence[str]) -> bool:
    """Say whether a file or folder is hidden, or holds what computers and NAS put beside photos: thumbnails, bins."""
    return any(part.startswith(".") or part.lower() in _MADE_BY_DEVICES for part in parts)
