"""What is said of the pictures that gave no face."""

from collections.abc import Sequence
from typing import Protocol

from ferkit.cli.output import escape, short_path

_MOST = 5


class Problematic(Protocol):
    """The result of a verb that reads pictures."""

    @property
    def faceless(self) -> list[str]:
        """Sources that show no face."""

    @property
    def filtered(self) -> list[str]:
        """Sources whose faces were all left out."""

    @property
    def unreadable(self) -> list[tuple[str, str]]:
        """(source, why) of those that cannot be read."""


def problem_lines(result: Problematic) -> list[str]:
    """Return lines (rich markup) that count the pictures and name the first of them; none where there are none."""
    unreadable = [f"{escape(short_path(source))} ({escape(why)})" for source, why in result.unreadable]
    return [
        *_listed("without a face", [escape(short_path(source)) for source in result.faceless]),
        *_listed("left out by the filters", [escape(short_path(source)) for source in result.filtered]),
        *_listed("unreadable", unreadable),
    ]


def _listed(what: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = [f"  … and {len(names) - _MOST:,} more (--json names all)"] if len(names) > _MOST else []
    return [f"{len(names):,} {what}:", *(f"  {name}" for name in names[:_MOST]), *more]
