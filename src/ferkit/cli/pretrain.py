"""``ferkit pretrain``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ferkit.cli.checks import require_names
from ferkit.cli.completion import methods
from ferkit.cli.options import DeviceOpt, JsonOpt, optional, with_face_options
from ferkit.cli.output import ProgressBar, report
from ferkit.cli.words import count_of, shell_path
from ferkit.pipeline import FACES

if TYPE_CHECKING:
    from ferkit.workflows.pretrain import PretrainResult


@with_face_options()
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
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            "-m",
            help="contrawarping, ssl-fer (or a row of its paper, ssl-fer-a to ssl-fer-g), cycleface, "
            "cycleface-identity, crs-cont, crs-cont-fast, byol, byol-paper, mocov2, simclr or supervised.",
            autocompletion=methods,
            show_default="the recipe's, else contrawarping",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        optional(
            "Settings of the method that a laptop can do, or those of its paper.",
            metavar="cpu|paper",
            default="the method's defaults",
        ),
    ] = None,
    parts: Annotated[
        str | None,
        optional(
            "For ssl-fer and contrawarping: time-aug and hard-neg, which need clips, face-swap, mask-fn, cutmix.",
            metavar="PART,PART,…",
            default="the method's",
        ),
    ] = None,
    backbone: Annotated[
        str | None, optional("Any model name of timm.", default="the recipe's, else the method's: mostly resnet18")
    ] = None,
    epochs: Annotated[float | None, optional("Passes over the faces.", default="the method's: mostly 50")] = None,
    batch_size: Annotated[
        int | None,
        optional("Faces a step, over all processes.", default="the method's: mostly 256, or what the faces fill"),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Train RUN-s0, RUN-s1, …, which differ by the seed alone, from --seed on.",
            show_default="one run",
        ),
    ] = None,
    seed: Annotated[int | None, optional("Source of all randomness.", default="0")] = None,
    recipe: Annotated[
        Path | None,
        optional(
            "Settings to start from: a run's recipe.yaml, or some lines of one. Options and --set win over it.",
            metavar="FILE.yaml",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        optional("Any other setting, such as base=simclr, views.size=64, lr=0.002.", "--set", metavar="KEY=VALUE"),
    ] = None,
    init: Annotated[str | None, optional("Encoder whose weights the backbone starts from.")] = None,
    monitor: Annotated[
        Path | None,
        optional(
            "A face set with labels: kNN accuracy on it while training, and the best encoder by that.", metavar="FACES"
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    device: DeviceOpt = None,
    json: JsonOpt = False,
    **options: Any,  # noqa: ANN401
) -> None:
    """Learn an encoder from faces, without labels."""
    shared = dict(locals())
    for name in ("sources", "out", "seed", "seeds", "settings", "json", "options"):
        del shared[name]
    sources = sources or [Path(FACES)]
    require_names(sources, recipe, monitor, method=method)
    from ferkit.pretraining.recipe import RecipeFile, parse_assignments
    from ferkit.training.processes import is_first_process
    from ferkit.workflows.pretrain import pretrain as run
    from ferkit.workflows.pretrain import run_folder

    runs: list[tuple[int | None, Path | None]] = [(seed, out)]
    if seeds is not None:
        chosen = method if recipe is None else RecipeFile.read(recipe).choice("method", method)
        folder, first = run_folder(out, chosen), seed or 0
        runs = [(number, Path(f"{folder}-s{number}")) for number in range(first, first + seeds)]
    results: list[PretrainResult] = []
    with ProgressBar() as progress:
        for number, place in runs:
            if seeds is not None:
                progress.say(f"{place}:")
            assigned = parse_assignments(settings or [])
            result = run(sources, place, seed=number, settings=assigned, progress=progress, **shared, **options)
            results.append(result)
            if (aligned := result.run / "faces").is_dir():  # photos are aligned once
                sources, options = [aligned], {}
    if is_first_process():
        fields = [_fields(result) for result in results]
        report(_summary(results, sources), fields[0] if seeds is None else {"runs": fields}, json=json)


def _fields(result: PretrainResult) -> dict[str, Any]:
    return {
        "run": str(result.run),
        "method": result.method,
        "faces": result.faces,
        "steps": result.steps,
        "seconds": round(result.seconds, 3),
        "last": result.last,
        "best": None if result.best is None else str(result.best),
    }


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
