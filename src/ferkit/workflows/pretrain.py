"""Learn an encoder from faces, without labels."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import torch
from torch import nn

from ferkit.atomic import atomic_path, is_temporary, output_errors, remove
from ferkit.data.face_set import FaceSet, is_face_set
from ferkit.encoders.backbones import build_backbone, feature_dim
from ferkit.encoders.encoder import load_encoder
from ferkit.errors import OutputError, TrainingError
from ferkit.locks import output_lock
from ferkit.methods import find_method
from ferkit.pipeline import FACES
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.face_stream import filtered_set, require_default_faces, source_paths
from ferkit.pretraining.monitor import LabelledFaces, RunMonitor
from ferkit.pretraining.recipe import DEFAULT_METHOD, Recipe, RecipeFile, draft_recipe, is_batch_stated
from ferkit.pretraining.settings import PretrainKeywords, PretrainSettings
from ferkit.pretraining.trained_encoder import card_of, save_encoders
from ferkit.pretraining.training_faces import TrainingFaces, usable_faces, windows_of
from ferkit.progress import Progress, Silent
from ferkit.settings import part_settings
from ferkit.training.checkpoint import BEST, latest, method_weights
from ferkit.training.loop import check_settings, train
from ferkit.training.metrics import read_figures
from ferkit.training.processes import Processes, fast_precision

_SMALL_SIDE = 64  # px that expressions are still told at


@dataclass(frozen=True)
class PretrainResult:
    """Where the run lies and how it ended."""

    run: Path  # its folder, which is an encoder as well
    method: str  # a name of METHODS
    faces: int  # how many it learnt from
    steps: int  # optimiser steps
    seconds: float  # of this part of the run
    last: dict[str, float]  # figures of the last row of metrics.csv
    best: Path | None = None  # folder of the encoder that the monitor found best; None without labelled faces


def pretrain(
    sources: str | Path | Sequence[str | Path] = FACES,
    out: str | Path | None = None,
    *,
    device: str | None = None,
    progress: Progress | None = None,
    **options: Unpack[PretrainKeywords],
) -> PretrainResult:
    """Pre-train an encoder on faces and leave it in a run folder that `load_encoder` takes.

    Under ``torchrun`` or ``accelerate launch`` all processes call this and train together; the first one writes.

    Args:
        sources: one face set, or anything that `align` takes; the latter is aligned into ``out/faces`` first.
        out: run folder; ``runs/<method>`` when None. It receives ``recipe.yaml``, ``metrics.csv``, ``monitor.csv``,
            ``curve.png``, ``sheets/``, ``checkpoints/``, ``encoder.safetensors`` and ``encoder.yaml``, and ``best/``
            with the encoder that told labels best.
        device: ``cpu``, ``cuda``, …; None takes the best one present.
        progress: told of every step.
        options: fields of `ferkit.pretraining.settings.PretrainSettings`, such as ``method="byol"``, ``epochs=20`` or
            ``settings={"views.size": 64}``, and of `ferkit.pipeline.face_options.FaceOptions`, such as ``min_face=40``.

    Raises:
        KeyboardInterrupt, SystemExit: SIGINT or SIGTERM came; the step that was reached is kept for ``resume``.
        InputError: a setting, the backbone, the recipe or the monitor's faces cannot be used.
        OutputError: the run folder exists and ``resume`` is not set, or cannot be written.
        TrainingError: too few faces, another recipe than the stopped run's, out of memory, or the loss is not finite.
    """
    settings, reading = part_settings(options, PretrainSettings, FaceOptions)
    file = RecipeFile.read(Path(settings.recipe)) if settings.recipe is not None else RecipeFile()
    draft = draft_recipe(settings, reading, file)  # a wrong setting is told before any work
    run = run_folder(out, settings.method, settings.recipe)
    processes = Processes(device)
    progress = progress if progress is not None and processes.first else Silent()
    with ExitStack() as stack:
        processes.on_rank_zero(lambda: _claim(run, settings.resume, stack))
        reading = FaceOptions(**{**file.face_options, **reading.changed()})
        faces = _face_set(source_paths(sources), run, reading, processes, progress)
        needs = find_method(draft.method).batch_fields_with(draft.settings)
        faces = usable_faces(faces, needs, windows_of(draft.settings), progress)
        usual = draft.training.batch_size
        fitting = usual if is_batch_stated(settings, file) else _fitting_batch(usual, len(faces), progress)
        recipe = draft.with_faces(faces, batch_size=fitting)
        if (file.faces_sha256 or recipe.faces_sha256) != recipe.faces_sha256:
            progress.say("these are not the faces that the recipe was made with: the weights will be others")
        if settings.resume and latest(run / "checkpoints") is None:
            progress.say(f"no checkpoint in {str(run)!r} to go on from: beginning at the first step")
        return _train(recipe, faces, run, processes, progress)


def run_folder(out: str | Path | None, method: str | None, recipe: str | Path | None) -> Path:
    """Where a run goes: ``out``, or ``runs/<method>``, which is the recipe's where none is named."""
    if out is not None:
        return Path(out)
    file = RecipeFile() if recipe is None else RecipeFile.read(Path(recipe))
    return Path("runs") / (file.choice("method", method) or DEFAULT_METHOD)


def _train(recipe: Recipe, faces: FaceSet, run: Path, processes: Processes, progress: Progress) -> PretrainResult:
    """Build what the recipe says, train it, and leave the encoder in the run folder."""
    check_settings(recipe.training, len(faces), processes)
    torch.manual_seed(recipe.training.seed)
    network = _initial_backbone(recipe)
    learner = find_method(recipe.method)(network, feature_dim(network), recipe.settings)
    if learner.parent_run is not None:
        learner.load_parent(method_weights(Path(learner.parent_run)))
    needs, classes = learner.batch_fields_with(recipe.settings), getattr(recipe.settings, "classes", ())
    reading = TrainingFaces(faces, needs, classes, windows_of(recipe.settings))
    reading.weigh(learner.face_weights)
    card = card_of(recipe, faces, learner, run.name)
    looks = recipe.training.monitor
    labelled = None
    if looks.data and looks.every:
        # What a method learns labels from cannot also show how well it tells them.
        seen = faces.column("sha256").to_pylist() if "label" in learner.batch_fields else ()
        labelled = LabelledFaces(FaceSet.open(looks.data), looks.faces, set(seen))
    monitor = RunMonitor(learner, reading, labelled, card, looks, run / "sheets", progress)
    processes.on_rank_zero(lambda: _keep_recipe(recipe, run))
    shorter = _shorter(recipe, processes.device)
    try:
        trained = train(learner, reading, recipe.training, run, progress, processes, monitor, shorter)
    finally:
        if processes.first:
            _draw_curve(run)
    processes.on_rank_zero(lambda: save_encoders(trained.encoder, trained.steps, card, learner, reading, run))
    processes.close()
    best = run / BEST if (run / "checkpoints" / BEST).exists() else None
    return PretrainResult(run, recipe.method, len(faces), trained.steps, trained.seconds, trained.last, best)


def _shorter(recipe: Recipe, device: torch.device) -> str:
    """What would make a run shorter, as options of the command line."""
    side, hints = recipe.settings.views.size, [f"--epochs {recipe.training.epochs / 5:g}"]
    if device.type == "cpu":
        hints.append("--preset cpu")
    if side > _SMALL_SIDE:
        hints.append(f"--set views.size={_SMALL_SIDE} ({(_SMALL_SIDE / side) ** 2:.0%} of the pixels)")
    if recipe.training.precision == "no" and fast_precision(device) != "no":
        hints.append("--set precision=auto")
    if device.type == "cpu":
        hints.append("a GPU")
    return ", ".join(hints)


def _draw_curve(run: Path) -> None:
    """Draw metrics.csv, and what the monitor saw, as curve.png."""
    figures = {**read_figures(run / "metrics.csv"), **read_figures(run / "monitor.csv")}
    if figures:
        from ferkit.report.charts import draw_training
        from ferkit.report.safe_picture import save_picture

        save_picture(draw_training(figures, run.name), run / "curve.png")


def _claim(run: Path, resume: bool, stack: ExitStack) -> None:
    """Hold the lock of a run folder that is new or, to resume it, a run's; sweep what a kill left of its writes."""
    with output_errors(run):
        stack.enter_context(output_lock(run))
    if not run.exists() or (run.is_dir() and all(map(is_temporary, run.iterdir()))):
        return
    if not any((run / name).exists() for name in ("recipe.yaml", "faces", "faces.partial")):
        raise OutputError(f"{str(run)!r} exists and is no run of ferkit; choose another -o")
    if not resume:
        raise OutputError(f"the run folder {str(run)!r} exists; add --resume to go on with it, or choose another -o")
    for left in filter(is_temporary, [*run.iterdir(), *run.glob("*/.*")]):
        remove(left)


def _face_set(
    paths: Sequence[Path], run: Path, options: FaceOptions, processes: Processes, progress: Progress
) -> FaceSet:
    """Open the face set, or the part of it that passes the filters, aligning the sources first if they are none."""
    require_default_faces(paths, "pretrain")
    if len(paths) == 1 and is_face_set(paths[0]):
        return filtered_set(FaceSet.open(paths[0]), options, progress)
    own = run / "faces"

    def align() -> None:
        from ferkit.pipeline.face_set_builder import build_face_set  # the detector loads only when photos are searched

        if not is_face_set(own):
            build_face_set(paths, own, options, str(processes.device), progress)

    processes.on_rank_zero(align)
    return FaceSet.open(own)


def _fitting_batch(usual: int, faces: int, progress: Progress) -> int:
    """The usual batch size, or, for fewer faces than that, the largest power of two that they fill."""
    if not 2 <= faces < usual:
        return usual
    fitting = 1 << (faces.bit_length() - 1)
    progress.say(f"{faces} faces do not fill a batch of {usual}: taking batches of {fitting} (--batch-size sets it)")
    return fitting


def _keep_recipe(recipe: Recipe, run: Path) -> None:
    path = run / "recipe.yaml"
    if path.exists():
        recipe.require_same(path)
    with atomic_path(path) as partial:
        partial.write_text(recipe.to_yaml())


def _initial_backbone(recipe: Recipe) -> nn.Module:
    size = recipe.settings.views.size
    network = build_backbone(recipe.backbone, size)
    if recipe.init is not None:
        network.load_state_dict(_initial_weights(recipe.init, recipe.backbone, network))
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, size, size))
    except Exception as error:  # each network has its own words, and kind of error, for a size that it cannot take
        raise TrainingError(
            f"{recipe.backbone} cannot take images of {size} px ({error}); try views.size=112 or 224"
        ) from error
    return network.train()


def _initial_weights(init: str, arch: str, network: nn.Module) -> dict[str, torch.Tensor]:
    encoder = load_encoder(init, device="cpu")
    if encoder.entry.arch != arch:
        raise TrainingError(
            f"the encoder {init!r} is a {encoder.entry.arch}; add --backbone {encoder.entry.arch} to start from it"
        )
    weights: dict[str, torch.Tensor] = encoder.backbone.state_dict()
    if any(weights[name].shape != tensor.shape for name, tensor in network.state_dict().items()):
        raise TrainingError(
            f"the encoder {init!r} takes images of {encoder.size} px and its weights fit no other; "
            f"set views.size={encoder.size} to start from it"
        )
    return weights
