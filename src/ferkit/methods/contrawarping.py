"""ContraWarping (Xue, Sun, Yang 2023, arXiv:2303.09034).

Global transforms keep an expression: two of them make a positive pair. A local warp of the same face changes it: that
makes a negative pair. The paper's base is BYOL, where a term of the loss pushes a prediction from the targets of the
face's own warps; on the SimCLR base the warps join the softmax's negatives, which learns within the few epochs that a
CPU can do. What the paper leaves open, ferkit makes a setting.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ferkit.methods.base import Batch, Method, MethodSettings, mlp
from ferkit.methods.byol import ByolSettings, SelfTarget
from ferkit.methods.simclr import SimClrSettings
from ferkit.methods.views import Views
from ferkit.methods.warps import WarpSettings, draw_warps
from ferkit.ops.distributed import gather_rows
from ferkit.ops.losses import nt_xent_loss, regression_loss
from ferkit.ops.repulsion import (
    own_warps_nt_xent_loss,
    warp_gap,
    warp_hinge_loss,
    warp_info_nce_loss,
    warp_repel_loss,
)

__all__ = ["ContraWarping", "ContraWarpingSettings"]


class ContraWarpingSettings(MethodSettings):
    """The published facts are the base and the landmarks' use; all numbers are ferkit defaults."""

    base: Literal["byol", "simclr"] = Field("byol", description="objective that the warped faces join")
    warps: WarpSettings = Field(default_factory=WarpSettings, description="local warps")
    role: Literal["negatives", "positives"] = Field(
        "negatives", description="what warped faces are; positives is the ablation that turns the idea round"
    )
    negatives: int = Field(1, ge=1, description="warps of each face in a batch")
    term: Literal["hinge", "infonce", "repel"] = Field("hinge", description="byol: what pushes warps away")
    weight: float = Field(1.0, ge=0, description="byol: weight of that term against the regression")
    margin: float = Field(0.3, ge=0, description="hinge: how much nearer the positive must be, in cosine")
    threshold: float = Field(0.5, ge=-1, le=1, description="repel: cosine below which a warp is left alone")
    temperature: float = Field(0.2, gt=0, description="infonce, simclr: softmax temperature")
    pool: Literal["batch", "own"] = Field(
        "batch", description="simclr: an anchor's negatives hold the whole batch's warps, or its own only"
    )
    hidden: int = Field(4096, ge=1, description="byol: width of the hidden layer of both heads")
    momentum: float = Field(0.99, ge=0, le=1, description="byol: target's momentum at the start")

    def head(self) -> ByolSettings:
        """Settings of the networks of the BYOL base."""
        return ByolSettings(views=self.views, hidden=self.hidden, momentum=self.momentum)


class ContraWarping(Method[ContraWarpingSettings]):
    """Pull two views of a face together and push its local warps away."""

    settings_type = ContraWarpingSettings
    needs: ClassVar[frozenset[str]] = frozenset({"landmarks"})

    def __init__(self, backbone: nn.Module, dim: int, settings: ContraWarpingSettings) -> None:
        super().__init__(backbone, dim, settings)
        if settings.base == "byol":
            self.networks = SelfTarget(backbone, dim, settings.head())
        else:
            self.projector = mlp(dim, dim, SimClrSettings().projection)

    @torch.no_grad()
    def views(self, batch: Batch, generator: torch.Generator) -> Views:
        """Draw two views and the warped ones; all pass the same single resampling and colour changes."""
        faces, landmarks = batch["crops"], batch["landmarks"]
        a, b = (self.make_view(faces, generator) for _ in range(2))
        warped = []
        for _ in range(self.settings.negatives):
            warp = draw_warps(len(faces), self.settings.warps, generator, landmarks, faces.device)
            warped.append(self.make_view(faces, generator, warp))
        return Views(a, b, torch.stack(warped))

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Return the base's loss with the warps' part, and "gap": the cosine of positives less that of warps."""
        return self._byol_loss(views) if self.settings.base == "byol" else self._simclr_loss(views)

    def _byol_loss(self, views: Views) -> dict[str, Tensor]:
        # One pass: separate ones would give warped faces batch-norm statistics of their own, which tells them apart.
        target_a, target_b, *rest = self.networks.project(_together(views)).chunk(2 + len(views.warped))
        warped = torch.stack(rest)
        online_a, online_b = self.networks.predict(self.backbone(torch.cat([views.a, views.b]))).chunk(2)
        pairs = ((online_a, target_b), (online_b, target_a))
        attract = torch.stack([regression_loss(online, target) for online, target in pairs]).sum()
        beside = torch.stack([self._byol_term(online, target, warped) for online, target in pairs]).sum()
        return {"loss": attract + self.settings.weight * beside, "gap": warp_gap(online_a, target_b, warped)}

    def _byol_term(self, online: Tensor, target: Tensor, warped: Tensor) -> Tensor:
        s = self.settings
        if s.role == "positives":
            return regression_loss(online.repeat(len(warped), 1), warped.flatten(0, 1))
        if s.term == "hinge":
            return warp_hinge_loss(online, target, warped, s.margin)
        if s.term == "infonce":
            return warp_info_nce_loss(online, target, warped, s.temperature)
        return warp_repel_loss(online, warped, s.threshold)

    def _simclr_loss(self, views: Views) -> dict[str, Tensor]:
        projected = self.projector(self.backbone(_together(views))).chunk(2 + len(views.warped))
        a, b, *warped = (gather_rows(rows) for rows in projected)
        return {"loss": self._nt_xent(a, b, torch.stack(warped)), "gap": warp_gap(a, b, torch.stack(warped))}

    def _nt_xent(self, a: Tensor, b: Tensor, warped: Tensor) -> Tensor:
        tau = self.settings.temperature
        if self.settings.role == "positives":
            partners = [(a, b), *((view, warp) for warp in warped for view in (a, b))]
            return torch.stack([nt_xent_loss(one, other, tau) for one, other in partners]).mean()
        if self.settings.pool == "own":
            return own_warps_nt_xent_loss(a, b, warped, tau)
        return nt_xent_loss(a, b, tau, warped.flatten(0, 1))

    def after_step(self, done: float) -> None:
        """Update the target network of the BYOL base."""
        if self.settings.base == "byol":
            self.networks.update(self.backbone, done)


def _together(views: Views) -> Tensor:
    return torch.cat([views.a, views.b, *views.warped])
