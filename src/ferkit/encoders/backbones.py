"""The networks that encoders are built on: any of timm's, without their classifier."""

from __future__ import annotations

from typing import cast

import timm
from torch import nn

from ferkit.errors import UnknownNameError

__all__ = ["UnknownBackboneError", "build_backbone", "feature_dim"]


class UnknownBackboneError(UnknownNameError):
    """timm has no network of this name."""

    kind = "backbone"
    listing = "any name of `timm.list_models()`"


def build_backbone(arch: str, input_size: int | None = None) -> nn.Module:
    """Build a network of timm with random weights; it maps (B, 3, S, S) images to (B, D) pooled features.

    Only timm's own code is ever run and nothing is fetched: a name such as ``hf-hub:owner/repo`` is refused.

    Args:
        arch: a timm name without a weights tag, such as ``resnet18``.
        input_size: S, which decides the shape of a transformer's position embedding, and so must be the same when its
            weights are loaded; None takes the network's usual size. Convolutional networks take any.

    Raises:
        UnknownBackboneError: timm has no such network; says the nearest names.
    """
    known = timm.list_models()
    if arch not in known:
        raise UnknownBackboneError(arch, known)
    sized = {} if input_size is None else {"img_size": input_size}
    try:
        network = timm.create_model(arch, pretrained=False, num_classes=0, **sized)
    except TypeError:  # a convolutional network has no such argument
        network = timm.create_model(arch, pretrained=False, num_classes=0)
    return cast(nn.Module, network)


def feature_dim(backbone: nn.Module) -> int:
    """Return D, the length of the vectors that a network of `build_backbone` gives."""
    # MobileNets and some others widen their features after the last stage, beyond `num_features`.
    return cast(int, getattr(backbone, "head_hidden_size", None) or backbone.num_features)
