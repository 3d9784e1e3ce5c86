"""What a run leaves: its encoder, the best one by its monitor, and the encoders that parts of its weights make."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ferkit._version import __version__
from ferkit.data.face_set import FaceSet
from ferkit.encoders.backbones import COMPANIONS, build_backbone, feature_dim
from ferkit.encoders.encoder import Encoder, save_encoder
from ferkit.encoders.registry import EncoderCard, TrainedOn
from ferkit.methods import Method
from ferkit.pretraining.monitor import features_of
from ferkit.pretraining.recipe import Recipe
from ferkit.pretraining.training_faces import TrainingFaces
from ferkit.training.checkpoint import BEST, encoder_weights

_CENTER_FACES = 4096
_GRAY_LEVELS = 2  # by which the channels of decoded gray pictures may differ; a network of such never sees colour


def card_of(recipe: Recipe, faces: FaceSet, learner: Method[Any], name: str) -> EncoderCard:
    """Describe the encoder that a run will leave, but for the steps that it took."""
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


def save_encoders(
    network: nn.Module, steps: int, card: EncoderCard, learner: Method[Any], faces: TrainingFaces, run: Path
) -> None:
    """Write the encoder of the last step into the run folder and, where there is one, the best into ``best/``."""
    _save(network, steps, card, learner, faces, run)
    if (run / "checkpoints" / BEST).exists():
        weights, steps = encoder_weights(run / "checkpoints" / BEST)
        best = copy.deepcopy(network)
        best.load_state_dict(weights)
        _save(best, steps, card.model_copy(update={"name": f"{run.name}-best"}), learner, faces, run / BEST)


def _save(
    backbone: nn.Module, steps: int, card: EncoderCard, learner: Method[Any], faces: TrainingFaces, folder: Path
) -> None:
    """Write the backbone with the mean feature of up to 4096 faces as its centre, and its companions beside it."""
    folder.mkdir(exist_ok=True)
    state, device = backbone.state_dict(), next(backbone.parameters()).device
    for name, (arch, size) in COMPANIONS.get(card.arch, {}).items():
        part = build_backbone(arch, size).to(device)
        part.load_state_dict({key: state[key] for key in part.state_dict()})
        own = {"name": f"{card.name}-{name}", "arch": arch, "input_size": size, "dim": feature_dim(part)}
        _save(part, steps, card.model_copy(update=own), learner, faces, folder / name)
    rows = _some_rows(faces.faces)
    features = torch.from_numpy(features_of(Encoder(card, backbone).to(device), faces.faces, rows))
    projection = learner.projection(features, faces.fields(rows))
    trained_on = card.trained_on and card.trained_on.model_copy(update={"steps": steps})
    card = card.model_copy(update={"trained_on": trained_on})
    save_encoder(folder, state, card, center=features.mean(0), projection=projection)


def _some_rows(faces: FaceSet) -> NDArray[np.int64]:
    """Rows of up to 4096 faces, always the same, rising."""
    return np.sort(np.random.default_rng(0).permutation(len(faces))[:_CENTER_FACES])
