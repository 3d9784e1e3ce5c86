"""Numbers, paths, tables and pictures without a face as the summaries of the commands say them."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ferkit.cli.output import escape, short_path

if TYPE_CHECKING:
    from ferkit.workflows.align import AlignResult
    from ferkit.workflows.embed import EmbedResult
    from ferkit.workflows.recognise import RecogniseResult

_WORDS = ("label", "person", "why")
"""Columns of words, which begin at one line; numbers end at one."""

_MOST = 5


def count_of(number: int, one: str, many: str | None = None) -> str:
    """``1 face``, ``1,234 faces``; ``many`` where that is not ``one`` with an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def count_pictures(number: int, unit: str) -> str:
    """``1 picture``, ``1,234 frames``, ``40 pictures and frames``, of a unit in the plural."""
    return count_of(number, unit.removesuffix("s"), unit)


def shell_path(path: Path | str) -> str:
    """Return a path as one types it into a shell, as rich markup."""
    return escape(shlex.quote(str(path)))


def columns(cells: Mapping[str, Sequence[str]], last: str, names: Sequence[str]) -> list[str]:
    """Lay out a title line and rows; columns without any content are left out.

    Args:
        cells: by column, one text a row.
        last: title of the last column.
        names: its texts: paths, which are never broken or padded, whatever the terminal's width.
    """
    widths = {name: max(map(len, [name, *column])) for name, column in cells.items() if any(column)}
    rows = [list(widths), *zip(*(cells[name] for name in widths), strict=True)] if widths else [[]] * (1 + len(names))
    return [
        "  ".join([*map(_padded, widths, row, widths.values()), name])
        for row, name in zip(rows, [last, *names], strict=True)
    ]


def _padded(name: str, cell: str, width: int) -> str:
    return cell.ljust(width) if name in _WORDS else cell.rjust(width)


def answer_lines(head: str, table: Sequence[str], outputs: Mapping[str, Path]) -> list[str]:
    """Return the lines (rich markup) of an answer: what it is, a table of `columns`, the files that were written."""
    title, *rows = table
    written = [f"{name}: [bold]{escape(str(path))}[/]" for name, path in outputs.items()]
    return [head, f"[dim]{title}[/]", *map(escape, rows), *written]


def problem_lines(result: AlignResult | EmbedResult | RecogniseResult) -> list[str]:
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
