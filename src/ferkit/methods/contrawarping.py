"""ContraWarping (Xue, Sun, Yang 2023, arXiv:2303.09034).

Global transforms keep an expression: two of them make a positive pair. A local warp of the same face changes it: that
makes a negative pair. The paper's base is BYOL, where the warped faces act through a hinge; on the SimCLR base they
join the negatives of every anchor of the batch, which learns within the few epochs that a CPU can do.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ferkit.methods.base import Method, MethodSettings, mlp
from ferkit.methods.byol import ByolSettings, SelfTarget
from ferkit.methods.simclr import SimClrSettings
from ferkit.methods.views import Views, WarpSettings, draw_warps, to_float
from ferkit.ops.losses import nt_xent_loss, regression_loss, warp_hinge_loss

__all__ = ["ContraWarping", "ContraWarpingSettings"]


class ContraWarpingSettings(MethodSettings):
    """The published facts are the base and the landmarks' use; all numbers are ferkit defaults."""

    base: Literal["byol", "simclr"] = Field("byol", description="objective that the warped faces join")
    warps: WarpSettings = Field(default_factory=WarpSettings, description="local warps")
    negatives: int = Field(1, ge=1, description="warps of each face in a batch")
    margin: float = Field(0.3, ge=0, description="byol: cosine margin of the hinge")
    weight: float = Field(1.0, ge=0, description="byol: weight of the hinge against the regression")
    hidden: int = Field(4096, ge=1, description="byol: width of the hidden layer of both heads")
    momentum: float = Field(0.99, ge=0, le=1, description="byol: target's momentum at the start")
    temperature: float = Field(0.2, gt=0, description="simclr: softmax temperature")

    def head(self) -> ByolSettings:
        """Settings of the networks of the BYOL base."""
        return ByolSettings(views=self.views, hidden=self.hidden, momentum=self.momentum)


class ContraWarping(Method[ContraWarpingSettings]):
    """Pull two views of a face together and push its local warps away."""

    settings_type = ContraWarpingSettings

    def __init__(self, backbone: nn.Module, dim: int, settings: ContraWarpingSettings) -> None:
        super().__init__(backbone, dim, settings)
        if settings.base == "byol":
            self.networks = SelfTarget(backbone, dim, settings.head())
        else:
            self.projector = mlp(dim, dim, SimClrSettings().projection)

    @torch.no_grad()
    def views(self, crops: Tensor, generator: torch.Generator) -> Views:
        """Draw two positives and the warped negatives; all pass the same single resampling and colour changes."""
        faces = to_float(crops)
        a, b = (self.make_view(faces, generator) for _ in range(2))
        warps = (draw_warps(len(faces), self.settings.warps, generator) for _ in range(self.settings.negatives))
        return Views(a, b, torch.stack([self.make_view(faces, generator, warp) for warp in warps]))

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Return the base's loss with its negative term, and "gap": the cosine of positives less that of warps."""
        return self._byol_loss(views) if self.settings.base == "byol" else self._simclr_loss(views)

    def _byol_loss(self, views: Views) -> dict[str, Tensor]:
        batch, negatives = len(views.a), self.settings.negatives
        # One pass: separate ones would give warped faces batch-norm statistics of their own, which tells them apart.
        targets = self.networks.project(torch.cat([views.a, views.b, *views.warped]))
        target_a, target_b = targets[:batch], targets[batch : 2 * batch]
        warped = targets[2 * batch :].view(negatives, batch, -1)
        online_a, online_b = self.networks.predict(self.backbone(torch.cat([views.a, views.b]))).chunk(2)
        attract = regression_loss(online_a, target_b) + regression_loss(online_b, target_a)
        margin = self.settings.margin
        repel = warp_hinge_loss(online_a, target_b, warped, margin) + warp_hinge_loss(
            online_b, target_a, warped, margin
        )
        return {"loss": attract + self.settings.weight * repel, **_gap(online_a, target_b, warped)}

    def _simclr_loss(self, views: Views) -> dict[str, Tensor]:
        batch = len(views.a)
        projected = self.projector(self.backbone(torch.cat([views.a, views.b, *views.warped])))
        a, b, warped = projected[:batch], projected[batch : 2 * batch], projected[2 * batch :]
        loss = nt_xent_loss(a, b, self.settings.temperature, warped)
        return {"loss": loss, **_gap(a, b, warped.view(self.settings.negatives, batch, -1))}

    def after_step(self, done: float) -> None:
        """Update the target network of the BYOL base."""
        if self.settings.base == "byol":
            self.networks.update(self.backbone, done)


@torch.no_grad()
def _gap(anchor: Tensor, positive: Tensor, warped: Tensor) -> dict[str, Tensor]:
    near = F.cosine_similarity(anchor, positive, dim=-1).mean()
    return {"gap": near - F.cosine_similarity(anchor[None], warped, dim=-1).mean()}
