"""ContraWarping (Xue, Sun, Yang 2023, arXiv:2303.09034).

Global transforms keep an expression: two of them make a positive pair. A local warp of the same face changes it: that
makes a negative pair. The paper's base is BYOL, where a term of the loss pushes a prediction from the targets of the
face's own warps; on the SimCLR base the warps join the softmax's negatives, which learns within the few epochs that a
CPU can do. What the paper leaves open, ferkit makes a setting.

With the parts of SSL-FER (`ferkit.methods.parts`) a face's positive is another frame of its clip, in another person's
outer face, and frames far away are anchors of their own, while its warps stay its negatives: neither paper has that.
"""

from collections.abc import Collection, Mapping
from statistics import fmean
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ferkit.methods.base import Batch, Method, mlp
from ferkit.methods.byol import ByolSettings, SelfTarget
from ferkit.methods.parts.settings import IN_NT_XENT, PartsSettings, needs_of, split_parts
from ferkit.methods.parts.strategy import PairStrategy
from ferkit.methods.simclr import SimClrSettings
from ferkit.methods.views import Views
from ferkit.methods.warps import WarpSettings, draw_warps
from ferkit.ops.distributed import gather_rows
from ferkit.ops.losses import nt_xent_loss, regression_loss
from ferkit.ops.warp_losses import (
    own_warps_info_nce_loss,
    own_warps_nt_xent_loss,
    warp_gap,
    warp_hinge_loss,
    warp_repel_loss,
)

_NO_GAP = 0.01
"""Cosine; runs whose warps were learnt ended at 0.03 and above (contrawarping.md)."""


WEAK_VIEWS: Mapping[str, Any] = {"scale": (0.85, 1.0), "aspect": (0.95, 1.05), "rotation": 5.0, "blur": 0.1}
"""Weaker transforms than the baselines': behind those a warp is hardly told (ferkit defaults, contrawarping.md)."""


class ContraWarpingSettings(PartsSettings):
    """The published facts are the base and the landmarks' use; all numbers are ferkit defaults."""

    base: Literal["byol", "simclr"] = Field(
        "byol", description="objective that the warped faces join; parts that live in NT-Xent bring simclr"
    )
    view_defaults = WEAK_VIEWS
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

    @model_validator(mode="before")
    @classmethod
    def _choose_base(cls, given: Any) -> Any:  # noqa: ANN401 (whatever is validated)
        if isinstance(given, dict) and "base" not in given and _in_nt_xent(given.get("parts")):
            return {**given, "base": "simclr"}
        return given

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        contrasting = _in_nt_xent(self.parts)
        if contrasting and self.base == "byol":
            raise ValueError(
                f"{' and '.join(contrasting)} cannot join base=byol, where no other face is a negative; set base=simclr"
            )
        context = {"mask-fn", "cutmix"} & {*self.parts}
        if context and (self.role, self.pool) != ("negatives", "batch"):
            raise ValueError(f"{context.pop()} needs role=negatives and pool=batch, as its loss has no other warps")
        return self

    def head(self) -> ByolSettings:
        """Settings of the networks of the BYOL base."""
        return ByolSettings(views=self.views, hidden=self.hidden, momentum=self.momentum)


class ContraWarping(Method[ContraWarpingSettings]):
    """Pull two views of a face together and push its local warps away."""

    settings_type = ContraWarpingSettings
    batch_fields: ClassVar[frozenset[str]] = frozenset({"landmarks"})

    def __init__(self, backbone: nn.Module, dim: int, settings: ContraWarpingSettings) -> None:
        super().__init__(backbone, dim, settings)
        if settings.base == "byol":
            self.networks = SelfTarget(backbone, dim, settings.head())
        else:
            self.projector = mlp(dim, dim, SimClrSettings().projection)
        self.parts = PairStrategy(settings)
        self.supervision = self.parts.supervision

    @classmethod
    def batch_fields_with(cls, settings: ContraWarpingSettings) -> frozenset[str]:
        """What the warps and the parts need."""
        return needs_of(settings, *cls.batch_fields)

    @torch.no_grad()
    def views(self, batch: Batch, generator: torch.Generator) -> Views:
        """Draw two views and the warped ones; all pass the same single resampling and colour changes."""
        pairs = self.parts.pairs(batch, generator)
        faces = pairs.anchors
        a, b = (self.make_view(crops, generator) for crops in (faces, pairs.positives))
        warped = []
        for _ in range(self.settings.negatives):
            warp = draw_warps(len(faces), self.settings.warps, generator, pairs.landmarks, faces.device)
            warped.append(self.make_view(faces, generator, warp))
        context = self.parts.context(pairs)
        return Views(a, b, torch.stack(warped), context=context, moments=pairs.moments)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Return the base's loss with the warps' part, and "gap": the cosine of positives less that of warps."""
        if self.settings.base == "byol":
            return self._byol_loss(views)
        projected = self.projector(self.backbone(_together(views))).chunk(2 + len(views.warped))
        a, b, *rest = (gather_rows(rows) for rows in projected)
        warped = torch.stack(rest)
        return {**self._nt_xent(a, b, warped, views), "gap": warp_gap(a, b, warped)}

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
            return own_warps_info_nce_loss(online, target, warped, s.temperature)
        return warp_repel_loss(online, warped, s.threshold)

    def _nt_xent(self, a: Tensor, b: Tensor, warped: Tensor, views: Views) -> dict[str, Tensor]:
        tau = self.settings.temperature

        def spared(of: tuple[int, int] = (0, 1)) -> Tensor | None:
            """Of frames; a warp is of the anchor's moment."""
            return self.parts.spared(None if views.moments is None else views.moments[:, of])

        if self.settings.role == "positives":
            partners = [
                (a, b, (0, 1)),
                *((a, warp, (0, 0)) for warp in warped),
                *((b, warp, (1, 0)) for warp in warped),
            ]
            losses = [nt_xent_loss(one, other, tau, spared=spared(times)) for one, other, times in partners]
            return {"loss": torch.stack(losses).mean()}
        if self.settings.pool == "own":
            return {"loss": own_warps_nt_xent_loss(a, b, warped, tau, spared())}
        return self.parts.contrast(a, b, views.context, tau, warped.flatten(0, 1), views.moments)

    def after_step(self, done: float) -> None:
        """Update the target network of the BYOL base."""
        if self.settings.base == "byol":
            self.networks.update(self.backbone, done)

    def advice(self, rows: Collection[Mapping[str, float]]) -> str | None:
        """Warn while positives are no nearer than warps, and name the settings that open the gap."""
        gap = fmean(row["gap"] for row in rows)
        s = self.settings
        if gap >= _NO_GAP or s.role == "positives":
            return None
        opening = {
            "base=simclr": s.base == "byol",
            "negatives=3": s.negatives < 3,
            "warps.radius=[0.4,0.6]": s.warps.radius[0] < 0.4,
        }
        hint = " ".join(f"--set {setting}" for setting, new in opening.items() if new) or "--epochs N for a longer run"
        return f"the gap is {gap:.3f}: warped faces teach nothing while it stays at zero; {hint} may open it"


def _in_nt_xent(parts: object) -> list[str]:
    """The parts among some, as settings may be given, that live in NT-Xent."""
    names = split_parts(parts)
    return [part for part in names if part in IN_NT_XENT] if isinstance(names, list | tuple) else []


def _together(views: Views) -> Tensor:
    return torch.cat([views.a, views.b, *views.warped])
