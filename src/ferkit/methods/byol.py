"""BYOL: Bootstrap Your Own Latent (Grill et al., 2020, arXiv:2006.07733)."""

from __future__ import annotations

import copy
import math

import torch
from pydantic import Field
from torch import Tensor, nn

from ferkit.methods.base import Method, MethodSettings, mlp
from ferkit.methods.views import Views
from ferkit.ops.losses import regression_loss

__all__ = ["Byol", "ByolSettings", "SelfTarget"]


class ByolSettings(MethodSettings):
    """The paper's heads and momentum."""

    hidden: int = Field(4096, ge=1, description="width of the hidden layer of both heads")
    projection: int = Field(256, ge=1, description="width of the projection")
    momentum: float = Field(0.99, ge=0, le=1, description="target's momentum at the start; rises to 1 by a cosine")


class SelfTarget(nn.Module):
    """The online network's heads, and the moving average of backbone and projector as target.

    The backbone itself stays with the method, so that its weights stand once in a checkpoint.
    """

    def __init__(self, backbone: nn.Module, dim: int, settings: ByolSettings) -> None:
        super().__init__()
        self.momentum = settings.momentum
        self.projector = mlp(dim, settings.hidden, settings.projection)
        self.predictor = mlp(settings.projection, settings.hidden, settings.projection)
        self.target = copy.deepcopy(nn.Sequential(backbone, self.projector)).requires_grad_(False)

    def predict(self, features: Tensor) -> Tensor:
        """Map (B, D) features of the backbone to (B, P) predictions of the target's projections."""
        prediction: Tensor = self.predictor(self.projector(features))
        return prediction

    @torch.no_grad()
    def project(self, views: Tensor) -> Tensor:
        """Map (B, 3, S, S) to (B, P) target projections, without gradient."""
        projection: Tensor = self.target(views)
        return projection

    @torch.no_grad()
    def update(self, backbone: nn.Module, done: float) -> None:
        """Move the target towards the online network (section 3.2: tau = 1 - (1 - tau_base)(cos(pi k/K) + 1)/2)."""
        tau = 1 - (1 - self.momentum) * (math.cos(math.pi * done) + 1) / 2
        online: list[Tensor] = [*backbone.parameters(), *self.projector.parameters()]
        target: list[Tensor] = list(self.target.parameters())
        torch._foreach_lerp_(target, online, 1 - tau)


class Byol(Method[ByolSettings]):
    """Predict the target network's projection of the other view."""

    settings_type = ByolSettings

    def __init__(self, backbone: nn.Module, dim: int, settings: ByolSettings) -> None:
        super().__init__(backbone, dim, settings)
        self.networks = SelfTarget(backbone, dim, settings)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Return the symmetric regression loss."""
        target_a, target_b = (self.networks.project(v) for v in (views.a, views.b))
        online_a, online_b = (self.networks.predict(self.backbone(v)) for v in (views.a, views.b))
        return {"loss": regression_loss(online_a, target_b) + regression_loss(online_b, target_a)}

    def after_step(self, done: float) -> None:
        """Update the target network."""
        self.networks.update(self.backbone, done)
