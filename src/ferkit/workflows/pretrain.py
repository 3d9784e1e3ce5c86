"""Learn an encoder from faces, without labels."""

import copy
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Unpack, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ferkit._version import __version__
from ferkit.atomic import atomic_path, is_temporary, output_errors, remove
from ferkit.data.clip_windows import Windows
from ferkit.data.face_set import FaceSet, is_face_set
from ferkit.encoders.backbones import COMPANIONS, build_backbone, feature_dim
from ferkit.encoders.encoder import Encoder, load_encoder, save_encoder
from ferkit.encoders.registry import EncoderCard, TrainedOn
from ferkit.errors import InputError, OutputError, TrainingError
from ferkit.locks import output_lock
from ferkit.methods import METHODS, Method, MethodSettings, Preset, find_method, find_preset, scaled
from ferkit.methods.parts.settings import PartsSettings
from ferkit.pipeline import FACES
from ferkit.pipeline.face_options import FaceKeywords, FaceOptions
from ferkit.pipeline.face_stream import filtered_set, require_default_faces, source_paths
from ferkit.pretraining.monitor import LabelledFaces, RunMonitor, features_of
from ferkit.pretraining.recipe import DEFAULT_BACKBONE, DEFAULT_METHOD, Recipe, RecipeFile, resolve_recipe
from ferkit.pretraining.training_faces import TrainingFaces, usable_faces
from ferkit.progress import Progress, Silent
from ferkit.training.checkpoint import BEST, encoder_weights, latest, method_weights
from ferkit.training.loop import TrainResult, check_settings, train
from ferkit.training.metrics import read_figures
from ferkit.training.processes import Processes, fast_precision
from ferkit.training.settings import MonitorSettings

CENTER_FACES = 4096
_SMALL_SIDE = 64  # px that expressions are still told at
_GRAY_LEVELS = 2  # by which the channels of decoded gray pictures may differ; a network of such never sees colour


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
    method: str | None = None,
    preset: str | None = None,
    parts: str | Sequence[str] | None = None,
    backbone: str | None = None,
    epochs: float | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    recipe: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    init: str | None = None,
    monitor: str | Path | None = None,
    resume: bool = False,
    device: str | None = None,
    progress: Progress | None = None,
    **options: Unpack[FaceKeywords],
) -> PretrainResult:
    """Pre-train an encoder on faces and leave it in a run folder that `load_encoder` takes.

    Under ``torchrun`` or ``accelerate launch`` all processes call this and train together; the first one writes.

    Args:
        sources: one face set, or anything that `align` takes; the latter is aligned into ``out/faces`` first.
        out: run folder; ``runs/<method>`` when None. It receives ``recipe.yaml``, ``metrics.csv``, ``monitor.csv``,
            ``curve.png``, ``sheets/``, ``checkpoints/``, ``encoder.safetensors`` and ``encoder.yaml``, and ``best/``
            with the encoder that told labels best.
        method: a name of `ferkit.methods.METHODS` or `ferkit.methods.PRESETS`; None takes the recipe's, else
            contrawarping.
        preset: a name of `ferkit.methods.SCALES`: ``cpu``, settings that a laptop can do, or ``paper``, the paper's;
            they win over those of a recipe.
        parts: of SSL-FER, for the methods that have them, such as ``"time-aug,hard-neg"``; None takes the method's.
        backbone: a timm model; None takes the recipe's, else the one of a method that has its own, else resnet18.
        epochs: passes over the faces.
        batch_size: faces a step, over all processes; None takes the method's, mostly 256, or less where the faces do
            not fill that.
        seed: source of all randomness.
        recipe: a YAML file of settings, such as a run's ``recipe.yaml``; what is given beside it wins.
        settings: dotted settings of the method or the loop, such as ``{"base": "simclr", "views.size": 64}``; they win
            over everything else.
        init: an encoder whose weights the backbone starts from.
        monitor: a face set with labels, for kNN accuracy while it trains and the best checkpoint by that.
        resume: go on with a run that was stopped; without one, start it.
        device: ``cpu``, ``cuda``, …; None takes the best one present.
        progress: told of every step.
        options: how sources are read and which of their faces are taken: fields of
            `ferkit.pipeline.face_options.FaceOptions`, such as ``min_face=40``.

    Raises:
        KeyboardInterrupt, SystemExit: SIGINT or SIGTERM came; the step that was reached is kept for ``resume``.
        InputError: a setting, the backbone, the recipe or the monitor's faces cannot be used.
        OutputError: the run folder exists and ``resume`` is not set, or cannot be written.
        TrainingError: too few faces, another recipe than the stopped run's, out of memory, or the loss is not finite.
    """
    file = RecipeFile.read(Path(recipe)) if recipe is not None else RecipeFile()
    name = file.choice("method", method) or DEFAULT_METHOD
    chosen = scaled(find_preset(name) if method is not None else Preset(find_preset(name).method), preset)
    method = chosen.method
    settings = {**({} if parts is None else {"parts": _parts(method, parts)}), **(settings or {})}
    by_name = {"epochs": epochs, "batch_size": batch_size, "seed": seed, "monitor.data": monitor and str(monitor)}
    training = {name: value for name, value in by_name.items() if value is not None}
    # A wrong setting is told before any work.
    draft = resolve_recipe(method, settings, training, file, preset=chosen.settings, faces=0, faces_sha256="")
    backbone = _backbone(method, backbone or chosen.backbone or file.choice("backbone", None))

    run = run_folder(out, name)
    processes = Processes(device)
    progress = progress if progress is not None and processes.first else Silent()
    with ExitStack() as stack:
        processes.on_rank_zero(lambda: _claim(run, resume, stack))
        reading = _options(file, options)
        faces = _face_set(source_paths(sources), run, reading, processes, progress)
        kind = find_method(method)
        faces = usable_faces(faces, kind.batch_fields_with(draft.settings), _windows(draft.settings), progress)

        if not {"batch_size", "training.batch_size"} & {*training, *settings, *file.settings}:
            training["batch_size"] = _fitting_batch(draft.training.batch_size, len(faces), progress)
        resolved = resolve_recipe(
            method,
            settings,
            training,
            file,
            labels=faces.column("label").to_pylist() if "label" in kind.batch_fields else None,
            preset=chosen.settings,
            backbone=backbone,
            init=file.choice("init", init),
            options={name: value for name, value in reading.items() if name != "workers"},
            faces=len(faces),
            faces_sha256=hashlib.sha256("".join(faces.column("sha256").to_pylist()).encode()).hexdigest(),
        )
        if file.content.get("faces_sha256", resolved.faces_sha256) != resolved.faces_sha256:
            progress.say("these are not the faces that the recipe was made with: the weights will be others")
        if resume and latest(run / "checkpoints") is None:
            progress.say(f"no checkpoint in {str(run)!r} to go on from: beginning at the first step")
        return _train(resolved, faces, run, processes, progress)


def run_folder(out: str | Path | None, name: str | None) -> Path:
    """Where a run of a method or recipe goes: ``out``, or ``runs/<name>``."""
    return Path(out) if out is not None else Path("runs") / (name or DEFAULT_METHOD)


def _train(recipe: Recipe, faces: FaceSet, run: Path, processes: Processes, progress: Progress) -> PretrainResult:
    """Build what the recipe says, train it, and leave the encoder in the run folder."""
    check_settings(recipe.training, len(faces), processes)
    torch.manual_seed(recipe.training.seed)
    network = _initial_backbone(recipe)
    learner = find_method(recipe.method)(network, feature_dim(network), recipe.settings)
    if learner.parent_run is not None:
        learner.load_parent(method_weights(Path(learner.parent_run)))
    needs, classes = learner.batch_fields_with(recipe.settings), getattr(recipe.settings, "classes", ())
    reading = TrainingFaces(faces, needs, classes, _windows(recipe.settings))
    reading.weigh(learner.face_weights)
    card = _card(recipe, faces, learner, run.name)
    looks = recipe.training.monitor
    labelled = _monitor_faces(looks, faces, learner) if looks.data and looks.every else None
    monitor = RunMonitor(learner, reading, labelled, card, looks, run / "sheets", progress)
    processes.on_rank_zero(lambda: _keep_recipe(recipe, run))
    shorter = _shorter(recipe, processes.device)
    try:
        trained = train(learner, reading, recipe.training, run, progress, processes, monitor, shorter)
    finally:
        if processes.first:
            _draw_curve(run)
    best = run / BEST if (run / "checkpoints" / BEST).exists() else None
    processes.on_rank_zero(lambda: _save_encoders(trained, card, learner, reading, run, best))
    processes.close()
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


def _parts(method: str, parts: str | Sequence[str]) -> str | list[str]:
    """The setting of this name."""
    having = [name for name, kind in METHODS.items() if issubclass(kind.settings_type, PartsSettings)]
    if issubclass(find_method(method).settings_type, PartsSettings):
        return parts if isinstance(parts, str) else list(parts)
    raise InputError(f"{method} has no parts to choose; leave --parts out, or take --method {' or '.join(having)}")


def _backbone(method: str, backbone: str | None) -> str:
    """The network to learn, which some methods choose themselves."""
    own = find_method(method).network
    if own is not None and backbone not in (None, own):
        raise InputError(f"{method} learns a network of its own, {own}, and no {backbone}; leave --backbone out")
    return own or backbone or DEFAULT_BACKBONE


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


def _options(file: RecipeFile, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that do not have their defaults; given ones win over the recipe's."""
    usual = {option.name: getattr(FaceOptions(), option.name) for option in fields(FaceOptions)}
    changed = {name: value for name, value in options.items() if name not in usual or value != usual[name]}
    return {**file.options, **changed}


def _face_set(
    paths: Sequence[Path], run: Path, options: Mapping[str, Any], processes: Processes, progress: Progress
) -> FaceSet:
    """Open the face set, or the part of it that passes the filters, aligning the sources first if they are none."""
    require_default_faces(paths, "pretrain")
    if len(paths) == 1 and is_face_set(paths[0]):
        return filtered_set(FaceSet.open(paths[0]), FaceOptions(**options), progress)
    own = run / "faces"

    def align() -> None:
        from ferkit.pipeline.face_set_builder import build_face_set  # the detector loads only when photos are searched

        if not is_face_set(own):
            build_face_set(paths, own, FaceOptions(**options), str(processes.device), progress)

    processes.on_rank_zero(align)
    return FaceSet.open(own)


def _windows(settings: MethodSettings) -> Windows:
    """How far apart the frames of a pair are, of methods that have such a setting."""
    return cast(Windows, getattr(settings, "windows", Windows()))


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


def _card(recipe: Recipe, faces: FaceSet, learner: Method[Any], name: str) -> EncoderCard:
    views, some = recipe.settings.views, faces.crops(_some_rows(faces))
    return EncoderCard(
        name=name,
        arch=recipe.backbone,
        dim=feature_dim(learner.backbone),
        input_size=views.size,
        gray=views.gray == 1 or bool(np.ptp(some, axis=3).max() <= _GRAY_LEVELS),
        mean=views.mean,
        std=views.std,
        crop=faces.template,
        supervision=learner.supervision,
        trained_on=TrainedOn(
            method=recipe.method,
            recipe="recipe.yaml",
            data=f"the faces of {faces.path.name}",
            faces=len(faces),
            commit=f"ferkit {__version__}",
        ),
    )


def _some_rows(faces: FaceSet) -> NDArray[np.int64]:
    """Rows of up to 4096 faces, always the same, rising."""
    return np.sort(np.random.default_rng(0).permutation(len(faces))[:CENTER_FACES])


def _monitor_faces(settings: MonitorSettings, training: FaceSet, learner: Method[Any]) -> LabelledFaces:
    """Open the monitor's faces; what a method learns labels from cannot also show how well it tells them."""
    seen = set(training.column("sha256").to_pylist()) if "label" in learner.batch_fields else ()
    return LabelledFaces(FaceSet.open(str(settings.data)), settings.faces, seen)


def _save_encoders(
    trained: TrainResult, card: EncoderCard, learner: Method[Any], faces: TrainingFaces, run: Path, best: Path | None
) -> None:
    _save_encoder(trained.encoder, card, trained.steps, learner, faces, run)
    if best is not None:
        weights, steps = encoder_weights(run / "checkpoints" / BEST)
        network = copy.deepcopy(trained.encoder)
        network.load_state_dict(weights)
        best.mkdir(exist_ok=True)
        _save_encoder(network, card.model_copy(update={"name": f"{run.name}-best"}), steps, learner, faces, best)


def _save_encoder(
    backbone: nn.Module, card: EncoderCard, steps: int, learner: Method[Any], faces: TrainingFaces, folder: Path
) -> None:
    """Write the backbone with the mean feature of up to 4096 faces as its centre, and its companions beside it."""
    state, device = backbone.state_dict(), next(backbone.parameters()).device
    for name, (arch, size) in COMPANIONS.get(card.arch, {}).items():
        part = build_backbone(arch, size).to(device)
        part.load_state_dict({key: state[key] for key in part.state_dict()})
        own = {"name": f"{card.name}-{name}", "arch": arch, "input_size": size, "dim": feature_dim(part)}
        (folder / name).mkdir(exist_ok=True)
        _save_encoder(part, card.model_copy(update=own), steps, learner, faces, folder / name)
    trained_on = card.trained_on and card.trained_on.model_copy(update={"steps": steps})
    rows = _some_rows(faces.faces)
    features = torch.from_numpy(features_of(Encoder(card, backbone).to(device), faces.faces, rows))
    projection = learner.projection(features, faces.fields(rows))
    card = card.model_copy(update={"trained_on": trained_on})
    save_encoder(folder, state, card, center=features.mean(0), projection=projection)
