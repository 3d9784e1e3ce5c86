"""A run's figures: a CSV file that survives being killed, and the experiment trackers that accelerate knows."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TextIO

from accelerate import Accelerator
from accelerate.utils import is_tensorboard_available, is_wandb_available

from ferkit.atomic import atomic_path, output_errors
from ferkit.errors import TrainingError
from ferkit.training.settings import TrainSettings


class MetricsFile:
    """Appends one row at a time; opened at a step, it drops the rows that a killed run wrote beyond it."""

    def __init__(self, path: Path, step: int) -> None:
        """Keep the rows of ``path`` up to ``step`` and append after them.

        Raises:
            OutputError: as `append`.
        """
        self.path = path
        kept = [row for row in self._read() if self._step(row) <= step]
        self._columns = list(kept[0]) if kept else []
        if path.exists():
            self._write(kept)

    def append(self, row: Mapping[str, object]) -> None:
        """Write one row; a figure that the rows before it lack, such as that of a new monitor, is a further column.

        Raises:
            OutputError: the disk is full or the file cannot be written.
        """
        if more := [name for name in row if name not in self._columns]:
            self._columns += more
            self._write(self._read())
        with output_errors(self.path), self.path.open("a", newline="") as file:
            self._writer(file).writerow(row)

    def _step(self, row: Mapping[str, str]) -> int:
        try:
            return int(row["step"])
        except (KeyError, ValueError) as error:
            raise self._damage_error() from error

    def _damage_error(self) -> TrainingError:
        return TrainingError(f"{str(self.path)!r} is damaged: it is no table of steps; move it away, and go on")

    def _write(self, rows: Iterable[Mapping[str, object]]) -> None:
        with output_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(self.path) as partial, partial.open("w", newline="") as file:
                writer = self._writer(file)
                writer.writeheader()
                writer.writerows(rows)

    def _writer(self, file: TextIO) -> csv.DictWriter[str]:
        return csv.DictWriter(file, fieldnames=self._columns, restval="", lineterminator="\n")

    def _read(self) -> list[dict[str, str]]:
        if not self.path.exists():
            return []
        try:
            with self.path.open(newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        except (ValueError, csv.Error) as error:
            raise self._damage_error() from error
        return [row for row in rows if None not in row and None not in row.values()]


def read_figures(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Read each figure of a `MetricsFile` as (step, value) pairs; nothing where there is no file."""
    figures: dict[str, list[tuple[int, float]]] = {}
    if path.exists():
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                for name in row.keys() - {"step", "epoch"}:
                    if row[name]:
                        figures.setdefault(name, []).append((int(row["step"]), float(row[name])))
    return figures


_INSTALLED: dict[str, Callable[[], bool]] = {"tensorboard": is_tensorboard_available, "wandb": is_wandb_available}


def check_trackers(settings: TrainSettings) -> None:
    """Tell whether the trackers that were asked for are installed.

    Raises:
        TrainingError: one is not.
    """
    for name in settings.trackers:
        if not _INSTALLED[name]():
            raise TrainingError(
                f"the tracker {name!r} is not installed; `pip install {name}`, or leave it out of trackers"
            )


def start_trackers(accelerator: Accelerator, settings: TrainSettings, run: Path) -> None:
    """Begin the project "ferkit" in each tracker, named after the run where it takes a name, with all settings."""
    config = {name: str(value) for name, value in settings.model_dump().items()}
    options = {"wandb": {"name": run.name, "dir": str(run)}}
    accelerator.init_trackers("ferkit", config, {name: options[name] for name in settings.trackers if name in options})
