"""The networks that encoders are built on: any of timm's, without their classifier, and ferkit's own."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from ferkit.encoders.cycleface import CycleFaceEncoder
from ferkit.encoders.resnet import RESNETS, ResNet
from ferkit.encoders.weights import misfits
from ferkit.errors import UnknownNameError, WeightsError

_OWN: Mapping[str, Callable[[int], nn.Module]] = {
    "cycleface": CycleFaceEncoder,
    "cycleface-map": partial(CycleFaceEncoder, code=False),
    "resnet18-half": lambda size: ResNet(*RESNETS["resnet18"], width=32),
    "resnet18-quarters": lambda size: ResNet(*RESNETS["resnet18"], quarters=True),
}
_OWN_SIZE = 64

COMPANIONS: Mapping[str, Mapping[str, tuple[str, int]]] = {"cycleface": {"map": ("cycleface-map", 100)}}
"""Other encoders that a part of a network's weights makes: a short name, the network, and its S.

100 px is what CycleFace's authors show the map for their linear protocol: 7 x 7 pixels of 128 channels.
"""


class UnknownBackboneError(UnknownNameError):
    """Neither timm nor ferkit has a network of this name."""

    kind = "backbone"
    listing = "any name of `timm.list_models()`"


def build_backbone(arch: str, input_size: int | None = None) -> nn.Module:
    """Build a network with random weights; it maps (B, 3, S, S) images to (B, D) pooled features.

    Only timm's own code and ferkit's is ever run and nothing fetched: a name such as ``hf-hub:owner/repo`` is refused.

    Args:
        arch: a timm name without a weights tag, such as ``resnet18``; or one of ferkit's own: ``cycleface``, whose
            features are codes, and ``cycleface-map``, whose features are the map in front of the code;
            ``resnet18-half``, a ResNet-18 with half of its channels, 256 features and 2.8 million weights; and
            ``resnet18-quarters``, a ResNet-18 without its last stage, of which two stages are pooled over each quarter:
            1,536 features and 2.8 million weights.
        input_size: S, which decides the shape of a transformer's position embedding and of the layers of a code, and so
            must be the same when weights are loaded; None takes the network's usual size. Other networks take any.

    Raises:
        UnknownBackboneError: there is no such network; says the nearest names.
    """
    if arch in _OWN:
        return _OWN[arch](input_size or _OWN_SIZE)
    import timm  # with torchvision, which it brings, it takes longer than torch

    names = timm.list_models()
    if arch not in names:
        raise UnknownBackboneError(arch, [*names, *_OWN])
    sized = {} if input_size is None else {"img_size": input_size}
    try:
        network = timm.create_model(arch, pretrained=False, num_classes=0, **sized)
    except TypeError:  # a convolutional network has no such argument
        network = timm.create_model(arch, pretrained=False, num_classes=0)
    return cast(nn.Module, network)


def outline_backbone(arch: str, input_size: int | None = None) -> nn.Module:
    """Build what `build_backbone` builds, without memory for its weights: shapes and settings alone."""
    with torch.device("meta"):
        return build_backbone(arch, input_size)


def require_room_for_weights(arch: str, input_size: int, path: Path) -> None:
    """Refuse a file far too small for the network that its entry names, before memory for that network is taken.

    Raises:
        WeightsError: it has less than a byte for each weight.
        UnknownBackboneError: there is no such network.
    """
    with torch.device("meta"):
        weights = sum(weight.numel() for weight in empty_backbone(arch, input_size).parameters())
    if weights > path.stat().st_size:
        raise WeightsError(
            f"{str(path)!r} does not fit {arch!r}: its {path.stat().st_size:,} bytes cannot hold {weights:,} weights; "
            "correct the entry beside it"
        )


def empty_backbone(arch: str, input_size: int | None = None) -> nn.Module:
    """Build a network that all weights will be assigned to, as `build_backbone` does, and where it can without timm.

    Such a one takes no memory for weights of its own.
    """
    if arch not in RESNETS:
        return build_backbone(arch, input_size)
    with torch.device("meta"):
        return ResNet(*RESNETS[arch])


def feature_dim(backbone: nn.Module) -> int:
    """Return D, the length of the vectors that a network of `build_backbone` gives."""
    # MobileNets and some others widen their features after the last stage, beyond `num_features`.
    return cast(int, getattr(backbone, "head_hidden_size", None) or backbone.num_features)


def classifier_prefixes(network: nn.Module) -> tuple[str, ...]:
    """Return what the names of a classifier's tensors begin with, which a network of `build_backbone` lacks."""
    heads = getattr(network, "pretrained_cfg", {}).get("classifier") or ()
    return tuple(f"{head}." for head in ((heads,) if isinstance(heads, str) else heads))


def timm_state(state: Mapping[str, Tensor], arch: str, input_size: int) -> dict[str, Tensor]:
    """Return a checkpoint of timm as a network of `build_backbone` takes it.

    The classifier is left out. Position embeddings, which belong to the network's usual size, are resampled to
    ``input_size``, as timm does. What does not fit the network is returned as it is.

    Args:
        state: tensors by timm's names, at the network's usual size.
        arch: a timm name without a weights tag.
        input_size: side in pixels of the images to come.

    Raises:
        UnknownBackboneError: timm has no such network.
    """
    network: Any = build_backbone(arch)  # timm's classes declare neither attribute
    heads = classifier_prefixes(network)
    features = {name: tensor for name, tensor in state.items() if not name.startswith(heads)}
    if not hasattr(network, "set_input_size") or misfits(network, features):
        return features
    network.load_state_dict(features)
    network.set_input_size(img_size=(input_size, input_size))
    return dict(network.state_dict())
