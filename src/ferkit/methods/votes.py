"""Votes: learn what a face shows from what its annotators saw (ferkit's own, supervised).

Annotators disagree, and how they disagree tells more than the majority: the targets are shares of votes, as for FER+
(Barsoum et al., 2016, arXiv:1608.01041). Two terms: cross entropy of a linear classifier against the shares, and a
contrast that pulls faces together by how much their votes agree (`ferkit.ops.losses.agreement_contrast_loss`), so that
cosines of features are what retrieval needs. In the finished encoder's vectors the directions in which classes differ
count more (``emphasis``). Some views show a rectangle of another face and its share of that face's
votes (CutMix, arXiv:1905.04899).
"""

from collections.abc import Sequence
from typing import Self, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from ferkit.errors import TrainingError
from ferkit.methods.anchors import anchor_points
from ferkit.methods.base import Batch, Method, MethodSettings, mlp, present_labels
from ferkit.methods.random_ranges import chance, uniform
from ferkit.methods.views import Views
from ferkit.ops.cutmix import cut_boxes, inside_boxes, kept_share
from ferkit.ops.distributed import gather_rows
from ferkit.ops.emphasis import class_emphasis
from ferkit.ops.face_swap import inner_face_mask
from ferkit.ops.losses import agreement_contrast_loss, share_loss


class VotesSettings(MethodSettings):
    """Classes, and the weights of the terms (ferkit defaults)."""

    classes: tuple[str, ...] = Field((), description="labels to tell apart, in their order; none takes the face set's")
    smoothing: float = Field(0.05, ge=0, lt=1, description="share of the target spread evenly over all classes")
    mix: float = Field(0.5, ge=0, le=1, description="chance that a view shows a rectangle of another face")
    contrast: float = Field(1.0, ge=0, description="weight of the contrast by agreement; 0 leaves it out")
    projection: int = Field(128, ge=1, description="width of the projection")
    temperature: float = Field(0.1, gt=0, description="softmax temperature")
    emphasis: float = Field(
        4.0,
        ge=1,
        description="how much more the directions in which classes differ count in vectors; 1 changes nothing",
    )

    def for_labels(self, labels: Sequence[str | None]) -> Self:
        """Take the labels in alphabetical order where no ``classes`` are set.

        Raises:
            TrainingError: there are fewer than two.
        """
        classes = self.classes or tuple(present_labels("votes", labels))
        if len(classes) < 2:
            raise TrainingError(f"votes tells at least two classes apart and all faces are {classes[0]!r}; set classes")
        return self.model_copy(update={"classes": classes})


class Votes(Method[VotesSettings]):
    """Tell the shares of votes, and pull together the faces whose votes agree."""

    settings_type = VotesSettings
    supervision = "supervised"
    batch_fields = frozenset({"label", "votes"})

    def __init__(self, backbone: nn.Module, dim: int, settings: VotesSettings) -> None:
        """Take over ``backbone``; `VotesSettings.for_labels` completes the settings.

        Raises:
            TrainingError: the settings name fewer than two classes.
        """
        super().__init__(backbone, dim, settings)
        if len(settings.classes) < 2:
            raise TrainingError(f"votes needs two classes or more, not {list(settings.classes)}; set classes")
        self.classifier = nn.Linear(dim, len(settings.classes))
        if settings.contrast:
            self.projector = mlp(dim, dim, settings.projection)

    @torch.no_grad()
    def views(self, batch: Batch, generator: torch.Generator) -> Views:
        """Draw two views of each face, some of them mixed."""
        shares = batch["votes"]
        shares = (1 - self.settings.smoothing) * shares + self.settings.smoothing * shares.mean(1, keepdim=True)
        mixed = [self._mix(self.make_view(batch["crops"], generator), shares, generator) for _ in range(2)]
        (a, target_a), (b, target_b) = mixed
        return Views(a, b, label=batch["label"], target=torch.cat([target_a, target_b]))

    def _mix(self, view: Tensor, shares: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Put a rectangle of the next face's view into some; what counts is how much of the inner face is left."""
        if not self.settings.mix:
            return view, shares
        count, size = len(view), view.shape[-1]
        area = uniform((count,), (0.05, 0.6), generator) * chance((count,), self.settings.mix, generator)
        boxes = cut_boxes(area, uniform((count, 2), (-0.8, 0.8), generator)).to(view.device, non_blocking=True)
        inner = inner_face_mask(anchor_points().to(view.device, non_blocking=True), size, margin=0.1, feather=0.1)
        kept = kept_share(boxes, inner)[:, None]
        mixed = torch.where(inside_boxes(boxes, size, size)[:, None], view.roll(1, 0), view)
        return mixed, kept * shares + (1 - kept) * shares.roll(1, 0)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Return the sum of the terms, each of them, and "accuracy" against the largest share."""
        target = cast(Tensor, views.target)
        features = self.backbone(torch.cat([views.a, views.b]))
        logits, shares = gather_rows(self.classifier(features)), gather_rows(target)
        figures = {"classify": share_loss(logits, shares)}
        if self.settings.contrast:
            projected = gather_rows(self.projector(features))
            figures["contrast"] = agreement_contrast_loss(projected, shares, self.settings.temperature)
        loss = figures["classify"] + self.settings.contrast * figures.get("contrast", 0)
        right = (logits.argmax(1) == shares.argmax(1)).float().mean()
        return {"loss": loss, **figures, "accuracy": right}

    @torch.no_grad()
    def projection(self, features: Tensor, batch: Batch) -> Tensor | None:
        """Stretch the space of the classes' means, so that in cosines expression outweighs the person."""
        if self.settings.emphasis == 1:
            return None
        return class_emphasis(features, batch["votes"], self.settings.emphasis)
