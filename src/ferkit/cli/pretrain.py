"""``ferkit pretrain``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ferkit.cli.checks import require_names
from ferkit.cli.options import DeviceOpt, JsonOpt, optional, with_settings
from ferkit.cli.output import ProgressBar, report
from ferkit.cli.words import count_of, shell_path
from ferkit.pipeline import FACES
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pretraining.settings import PretrainSettings

if TYPE_CHECKING:
    from ferkit.workflows.pretrain import PretrainResult


@with_settings(PretrainSettings, FaceOptions)
def pretrain(
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FACES",
            help="A face set of `ferkit align`, or photos and videos to make one of, in any form that `align` takes.",
            show_default="faces",
        ),
    ] = None,
    out: Annotated[Path | None, optional("Run folder.", "--out", "-o", default="runs/METHOD")] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Train RUN-s0, RUN-s1, …, which differ by the seed alone, from --seed on.",
            show_default="one run",
        ),
    ] = None,
    device: DeviceOpt = None,
    json: JsonOpt = False,
    **options: Any,  # noqa: ANN401
) -> None:
    """Learn an encoder from faces, without labels."""
    sources = sources or [Path(FACES)]
    require_names(sources, options["recipe"], options["monitor"], method=options["method"])
    from ferkit.training.processes import is_first_process
    from ferkit.workflows.pretrain import pretrain as run
    from ferkit.workflows.pretrain import run_folder

    runs: list[tuple[int | None, Path | None]] = [(options.pop("seed"), out)]
    if seeds is not None:
        folder, first = run_folder(out, options["method"], options["recipe"]), runs[0][0] or 0
        runs = [(number, Path(f"{folder}-s{number}")) for number in range(first, first + seeds)]
    results: list[PretrainResult] = []
    with ProgressBar() as progress:
        for number, place in runs:
            if seeds is not None:
                progress.say(f"{place}:")
            results.append(run(sources, place, seed=number, device=device, progress=progress, **options))
            if (aligned := results[-1].run / "faces").is_dir():  # photos are aligned once
                sources = [aligned]
                options = {each.name: options[each.name] for each in fields(PretrainSettings) if each.name in options}
    if is_first_process():
        values = [{**vars(result), "seconds": round(result.seconds, 3)} for result in results]
        report(_summary(results, sources), values[0] if seeds is None else {"runs": values}, json=json)


def _summary(results: Sequence[PretrainResult], sources: Sequence[Path]) -> str:
    ready = [shell_path(result.best or result.run) for result in results]
    return "\n".join(
        [
            *(_done(result) for result in results),
            f"next: ferkit probe {' '.join(ready)} --data LABELLED  how good it is, on faces with labels",
            f"next: ferkit embed {shell_path(sources[0])} -e {ready[0]}",
        ]
    )


def _done(result: PretrainResult) -> str:
    figures = ", ".join(f"{name} {value:.4g}" for name, value in result.last.items())
    took = f" in {result.seconds:.0f} s\nat the end: {figures}" if figures else ", finished already"
    return f"[bold]{result.method}[/]: {count_of(result.steps, 'step')} over {count_of(result.faces, 'face')}{took}"
