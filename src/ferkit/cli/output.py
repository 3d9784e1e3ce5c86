"""What the commands print: results for people or as JSON, progress bars, errors."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from rich.console import Console, RenderableType
from rich.markup import escape as _rich_escape
from rich.progress import BarColumn, MofNCompleteColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.text import Text

from ferkit.printable import printable
from ferkit.progress import duration


class _Terminal(Console):
    """Whatever is printed, nothing of it but rich's own styles reaches the terminal as a control character."""

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401
        return super().render_str(printable(text, keep="\n"), **options)


out = _Terminal(highlight=False, soft_wrap=True)
err = _Terminal(stderr=True, highlight=False, soft_wrap=True)

_SECONDS_A_LINE = 20

Result = TypeVar("Result")


def escape(text: str) -> str:
    """A name or message of others as rich markup that shows it to the letter, on one line."""
    return _rich_escape(printable(text))


def report(summary: str | Iterable[RenderableType], result: Mapping[str, Any], *, json: bool) -> None:
    """Print ``result`` as one JSON object, or ``summary`` (lines of rich markup, and tables) for people."""
    if json:
        print(jsonlib.dumps(result, indent=2, default=str))
    else:
        for line in [summary] if isinstance(summary, str) else summary:
            out.print(line)


def run_and_report(
    run: Callable[..., Result],
    arguments: Mapping[str, Any],
    summary: Callable[[Result], str | Iterable[RenderableType]],
    values: Callable[[Result], Mapping[str, Any]] = asdict,  # type: ignore[assignment]  # results are dataclasses
) -> Result:
    """Run a workflow with a command's arguments, which are its own by the same names, and print what it gives.

    Args:
        run: the workflow.
        arguments: the command's ``locals()``; what is None is left to the workflow, ``json`` says how to print.
        summary: what is printed for people.
        values: what is printed as JSON.
    """
    stated = {name: value for name, value in arguments.items() if value is not None and name not in ("json", "options")}
    with ProgressBar() as progress:
        result = run(**stated, **arguments.get("options", {}), progress=progress)
    report(summary(result), values(result) if arguments["json"] else {}, json=arguments["json"])
    return result


def short_path(source: str) -> str:
    """The path as seen from here, where it lies below."""
    path, here = Path(source), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else source


class ProgressBar:
    """Rich bars on standard error; a `ferkit.progress.Progress`, and a context manager that clears up.

    Where standard error is no terminal, there is a plain line of the same content every 20 s.
    """

    def __init__(self) -> None:
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=err,
            transient=True,
            disable=not err.is_terminal,
        )
        self._task: Task | None = None
        self._line_at = 0.0

    def __enter__(self) -> ProgressBar:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def start(self, task: str, total: float | None, done: float = 0, unit: str = "") -> None:
        """Begin a new bar; the one before it stays as it is."""
        number = self._bars.add_task(task, total=total, completed=int(done), note="", rate="", unit=unit)
        self._task = self._bars.tasks[number]
        self._line_at = monotonic() + _SECONDS_A_LINE

    def advance(self, steps: float = 1, note: str = "") -> None:
        """Move the current bar on."""
        if (task := self._task) is None:
            return
        self._bars.advance(task.id, steps)
        rate = "" if not task.speed else f"{task.speed:.1f}/s" if task.speed >= 1 else f"{1 / task.speed:.1f} s each"
        self._bars.update(task.id, rate=rate, note=note or task.fields["note"])
        if not err.is_terminal and monotonic() >= self._line_at:
            self._line_at = monotonic() + _SECONDS_A_LINE
            self.say(_line(task))

    def say(self, message: str) -> None:
        """Print one line above the bars, to the letter: names and paths may look like rich markup."""
        self._bars.console.print(printable(message), markup=False, emoji=False)


def _line(task: Task) -> str:
    """What the bar shows, without the bar: "pre-training: 40 of 100 steps, 1.2/s, 50 s left, loss 1.3"."""
    total = "" if task.total is None else f" of {task.total:,.0f}"
    left = "" if task.time_remaining is None else f"{duration(task.time_remaining)} left"
    parts = (f"{task.completed:,.0f}{total} {task.fields['unit']}".rstrip(), task.fields["rate"], left)
    return f"{task.description}: {', '.join(filter(None, (*parts, task.fields['note'])))}"
