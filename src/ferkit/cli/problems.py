"""What is said of the pictures that gave no face."""

from __future__ import annotations

from collections.abc import Sequence

from rich.markup import escape

from ferkit.cli.output import short_path

__all__ = ["problem_lines"]

_MOST = 5


def problem_lines(faceless: Sequence[str], unreadable: Sequence[tuple[str, str]]) -> list[str]:
    """Return lines (rich markup) that count these pictures and name the first of them; none where there are none."""
    lines = _listed("without a face", [escape(short_path(source)) for source in faceless])
    return lines + _listed(
        "unreadable", [f"{escape(short_path(source))} ({escape(why)})" for source, why in unreadable]
    )


def _listed(what: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    more = [f"  … and {len(names) - _MOST:,} more (--json names all)"] if len(names) > _MOST else []
    return [f"{len(names):,} {what}:", *(f"  {name}" for name in names[:_MOST]), *more]
