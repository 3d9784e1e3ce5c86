"""A run's figures as a CSV file that survives being killed."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from ferkit.atomic import output_errors

__all__ = ["MetricsFile"]


class MetricsFile:
    """Appends one row at a time; opened at a step, it drops the rows that a killed run wrote beyond it."""

    def __init__(self, path: Path, step: int) -> None:
        """Keep the rows of ``path`` up to ``step`` and append after them."""
        self.path = path
        kept = [row for row in self._read() if int(row["step"]) <= step]
        with output_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
        for row in kept:
            self.append(row)

    def append(self, row: Mapping[str, object]) -> None:
        """Write one row; the first one decides the columns.

        Raises:
            OutputError: the disk is full or the file cannot be written.
        """
        with output_errors(self.path):
            new = not self.path.exists()
            with self.path.open("a", newline="") as file:
                writer = csv.DictWriter(file, fieldnames=list(row), lineterminator="\n")
                if new:
                    writer.writeheader()
                writer.writerow(row)

    def _read(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        with self.path.open(newline="") as file:
            return [row for row in csv.DictReader(file) if all(value is not None for value in row.values())]
