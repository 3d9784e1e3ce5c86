"""Learn an encoder from faces, without labels."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ferkit._version import __version__
from ferkit.atomic import atomic_path
from ferkit.data.face_set import FaceSet, is_face_set
from ferkit.encoders.backbones import build_backbone, feature_dim
from ferkit.encoders.encoder import Encoder, load_encoder, save_encoder
from ferkit.encoders.registry import EncoderCard, TrainedOn
from ferkit.errors import OutputError, TrainingError
from ferkit.methods import find_method
from ferkit.progress import Progress, Silent
from ferkit.training.loop import check_settings, train
from ferkit.training.settings import TrainSettings
from ferkit.workflows import FACES
from ferkit.workflows.faces_of import require_default_faces, source_paths
from ferkit.workflows.recipe import Recipe, resolve_recipe

__all__ = ["PretrainResult", "pretrain"]

CENTER_FACES = 4096


@dataclass(frozen=True)
class PretrainResult:
    """Where the run lies and how it ended."""

    run: Path
    method: str
    faces: int
    steps: int
    seconds: float
    last: dict[str, float]


def pretrain(
    sources: str | Path | Sequence[str | Path] = FACES,
    out: str | Path | None = None,
    *,
    method: str = "contrawarping",
    backbone: str = "resnet18",
    epochs: float | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    init: str | None = None,
    aligned: bool | None = None,
    resume: bool = False,
    device: str | None = None,
    progress: Progress | None = None,
) -> PretrainResult:
    """Pre-train an encoder on faces and leave it in a run folder that `load_encoder` takes.

    Args:
        sources: one face set, or anything that `align` takes; the latter is aligned into ``out/faces`` first.
        out: run folder; ``runs/<method>`` when None. It receives ``recipe.yaml``, ``metrics.csv``, ``checkpoints/``,
            ``encoder.safetensors`` and ``encoder.yaml``.
        method: a name of `ferkit.methods.METHODS`.
        backbone: a timm model.
        epochs: passes over the faces.
        batch_size: faces a step, over all processes; None takes 256, or less where the faces do not fill that.
        seed: source of all randomness.
        settings: dotted settings of the method or the loop, such as ``{"base": "simclr", "views.size": 64}``.
        init: an encoder whose weights the backbone starts from.
        aligned: take images as face crops (True), search them for faces (False), or decide by their looks (None).
        resume: go on with a run that was stopped; without one, start it.
        device: ``cpu``, ``cuda``, …; None takes the best one present.
        progress: told of every step.

    Raises:
        OutputError: the run folder exists and ``resume`` is not set, or cannot be written.
        TrainingError: too few faces, another recipe than the stopped run's, or the loss is not finite.
    """
    progress = progress or Silent()
    kind = find_method(method)
    run = Path(out) if out is not None else Path("runs") / method
    by_name = {"epochs": epochs, "batch_size": batch_size, "seed": seed}
    given = {name: value for name, value in by_name.items() if value is not None}
    resolve_recipe(method, settings or {}, given, faces=0, faces_sha256="")  # a wrong setting is told before any work
    _check_run_folder(run, resume)
    paths = source_paths(sources)
    require_default_faces(paths, "pretrain")
    faces = _face_set(paths, run, aligned, device, progress)
    if "batch_size" not in {*given, *(settings or {})}:
        given["batch_size"] = _fitting_batch(len(faces), progress)
    recipe = resolve_recipe(
        method, settings or {}, given, backbone=backbone, init=init, faces=len(faces), faces_sha256=_digest(faces)
    )
    torch.manual_seed(recipe.training.seed)
    network = _initial_backbone(recipe)
    learner = kind(network, feature_dim(network), recipe.settings)
    check_settings(recipe.training, len(faces))
    _keep_recipe(recipe, run)
    trained = train(learner, faces, recipe.training, run, progress, device)
    if int(os.environ.get("RANK", "0")) == 0:
        _save_encoder(learner.backbone, recipe, faces, run, trained.steps)
    return PretrainResult(run, method, len(faces), trained.steps, trained.seconds, trained.last)


def _check_run_folder(run: Path, resume: bool) -> None:
    if not run.exists() or (run.is_dir() and not any(run.iterdir())):
        return
    if not any((run / name).exists() for name in ("recipe.yaml", "faces", "faces.partial")):
        raise OutputError(f"{str(run)!r} exists and is no run of ferkit; choose another -o")
    if not resume:
        raise OutputError(f"the run folder {str(run)!r} exists; add --resume to go on with it, or choose another -o")


def _face_set(
    paths: Sequence[Path], run: Path, aligned: bool | None, device: str | None, progress: Progress
) -> FaceSet:
    """Open the face set, aligning the sources into the run folder first if they are none."""
    if len(paths) == 1 and is_face_set(paths[0]):
        return FaceSet.open(paths[0])
    own = run / "faces"
    if not is_face_set(own):
        from ferkit.workflows.align import align  # the detector loads only when photos are searched

        align(paths, own, aligned=aligned, device=device, progress=progress)
    return FaceSet.open(own)


def _fitting_batch(faces: int, progress: Progress) -> int:
    """The default batch size, or, for fewer faces than that, the largest power of two that they fill."""
    usual: int = TrainSettings().batch_size
    if not 2 <= faces < usual:
        return usual
    fitting = 1 << (faces.bit_length() - 1)
    progress.say(f"{faces} faces do not fill a batch of {usual}: taking batches of {fitting} (--batch-size sets it)")
    return fitting


def _digest(faces: FaceSet) -> str:
    """Digest of all faces' content hashes, in order."""
    digest = hashlib.sha256()
    for value in faces.table.column("sha256").to_pylist():
        digest.update(value.encode())
    return digest.hexdigest()


def _keep_recipe(recipe: Recipe, run: Path) -> None:
    path = run / "recipe.yaml"
    if path.exists():
        recipe.require_same(path)
        return
    with atomic_path(path) as partial:
        partial.write_text(recipe.to_yaml())


def _initial_backbone(recipe: Recipe) -> nn.Module:
    if recipe.init is None:
        return build_backbone(recipe.backbone)
    encoder = load_encoder(recipe.init, device="cpu")
    if encoder.entry.arch != recipe.backbone:
        raise TrainingError(
            f"the encoder {recipe.init!r} is a {encoder.entry.arch}; "
            f"add --backbone {encoder.entry.arch} to start from it"
        )
    return encoder.backbone.train()


def _save_encoder(backbone: nn.Module, recipe: Recipe, faces: FaceSet, run: Path, steps: int) -> None:
    """Write the backbone with the mean feature of up to 4096 faces as its centre."""
    card = EncoderCard(
        name=run.name,
        arch=recipe.backbone,
        dim=feature_dim(backbone),
        input_size=recipe.settings.views.size,
        mean=recipe.settings.views.mean,
        std=recipe.settings.views.std,
        crop=faces.template,
        supervision="unsupervised",
        trained_on=TrainedOn(
            method=recipe.method,
            recipe="recipe.yaml",
            data="",
            faces=len(faces),
            steps=steps,
            commit=f"ferkit {__version__}",
        ),
    )
    some = np.sort(np.random.default_rng(0).permutation(len(faces))[:CENTER_FACES])
    features = Encoder(card, backbone.eval()).features(faces.crops(some))
    save_encoder(run, backbone.state_dict(), card, center=torch.from_numpy(features.mean(0)))
