"""Tables of results as CSV, one row a result."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any

from ferkit.atomic import atomic_path, output_errors
from ferkit.errors import OutputError

__all__ = ["require_own_csv", "save_csv"]


def require_own_csv(path: Path, kind: type[Any]) -> None:
    """Refuse to replace a file that `save_csv` did not write for rows of this dataclass.

    Raises:
        OutputError: such a file is there.
    """
    if not path.exists():
        return
    header = _header(kind).encode()
    with output_errors(path), path.open("rb") as file:
        ours = file.read(len(header)) == header
    if not ours:
        raise OutputError(f"{str(path)!r} is there already and holds something else; choose another output")


def save_csv(rows: Iterable[Any], kind: type[Any], path: Path) -> None:
    """Write dataclasses as rows under the names of their fields; None is an empty cell."""
    names = [field.name for field in fields(kind)]
    with atomic_path(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([getattr(row, name) for name in names] for row in rows)


def _header(kind: type[Any]) -> str:
    return ",".join(field.name for field in fields(kind)) + "\n"
