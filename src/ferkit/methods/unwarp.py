"""Unwarp: tell from a single picture how its face was bent (ferkit's own, unsupervised).

A local warp is drawn without regard to the person, so whoever tells it from one picture must know what faces look like
at rest, and nothing about whose face it is. A smile that nobody drew looks like a warp of the mouth's corners as well:
what answers the question describes expressions. The terms around it are settings, each of which can be left out:

- ``regress``: the displacement at the face's anchors is a linear function of the features; unwarped views have none.
- ``contrast``: NT-Xent between two views whose negatives are the face's own warps, and, with ``strangers``, all other
  faces of the batch but the nearest ones (``spared``), which may show the same expression.
- ``spread``: variance and covariance terms against collapse (VICReg, arXiv:2105.04906), which strangers do without.
- ``neighbours``: the nearest face on another person among the latest ones is a positive (NNCLR, arXiv:2104.14548), and
  must be nearer than the other pictures of the face's own person, where the face set says who is who (``own_person``).
"""

from collections.abc import Callable
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ferkit.faces.template import CROP_SIZE
from ferkit.methods.anchors import ANCHORS, carry_anchors
from ferkit.methods.base import Batch, Method, MethodSettings, mlp
from ferkit.methods.contrawarping import WEAK_VIEWS
from ferkit.methods.random_ranges import chance
from ferkit.methods.views import ViewMaker, Views
from ferkit.methods.warps import WarpSettings, draw_warps
from ferkit.ops.distributed import gather_rows
from ferkit.ops.losses import cosine_matrix, covariance_loss, nt_xent_loss, variance_loss
from ferkit.ops.warp_losses import own_warps_info_nce_loss, warp_gap

_DISPLACEMENT = 0.1
"""Face coordinates that count as 1 in the regression: about the largest shift of an anchor by the default warps."""


class UnwarpSettings(MethodSettings):
    """Weights of the terms, 0 for none, and what they need (ferkit defaults)."""

    view_defaults = WEAK_VIEWS
    warps: WarpSettings = Field(default_factory=WarpSettings, description="local warps")
    negatives: int = Field(1, ge=1, description="warps of each face in a batch")
    regress: float = Field(1.0, ge=0, description="weight of telling the displacement")
    contrast: float = Field(1.0, gt=0, description="weight of the contrast of two views with the face's warps")
    strangers: bool = Field(True, description="let the other faces of a batch be negatives too")
    spared: float = Field(0.0, ge=0, lt=1, description="share of the strangers, the nearest, that are no negatives")
    spread: float = Field(0.0, ge=0, description="weight of the variance and covariance terms")
    neighbours: float = Field(0.0, ge=0, description="weight of the contrast with the nearest faces of other people")
    own_person: bool = Field(True, description="neighbours: let other pictures of one's own person be negatives")
    queue: int = Field(8192, ge=1, description="latest faces among which neighbours are sought")
    projection: int = Field(128, ge=1, description="width of the projection")
    temperature: float = Field(0.1, gt=0, description="softmax temperature")


class FaceQueue(nn.Module):
    """The latest faces, first in, first out: features to find neighbours by, projections to contrast with, whose.

    It begins empty: as random directions of nobody, which are near to no face.
    """

    features: Tensor
    projections: Tensor
    person: Tensor
    row: Tensor
    next: Tensor

    def __init__(self, size: int, dim: int, projection: int) -> None:
        super().__init__()
        self.register_buffer("features", torch.randn(size, dim))
        self.register_buffer("projections", F.normalize(torch.randn(size, projection), dim=1))
        self.register_buffer("person", torch.full((size,), -1))
        self.register_buffer("row", torch.full((size,), -1))
        self.register_buffer("next", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def nearest(self, features: Tensor, person: Tensor) -> tuple[Tensor, Tensor]:
        """Find each face's nearest one on another person, by the cosine of features centred by the queue's mean.

        Args:
            features: (B, D).
            person: (B,) int64, equal for faces of one person.

        Returns:
            (B, P) projections of length 1, and (B,) whether there is such a face.
        """
        center = self.features.mean(0)
        cosines = cosine_matrix(features.float() - center, self.features - center)
        other = (person[:, None] != self.person) & (self.person >= 0)
        best, place = cosines.masked_fill(~other, -torch.inf).max(1)
        return self.projections[place], best > -torch.inf

    @torch.no_grad()
    def push(self, features: Tensor, projections: Tensor, person: Tensor, row: Tensor) -> None:
        """Replace the oldest by (B, D) features, (B, P) projections, (B,) persons and rows; the last that fit stay."""
        size, count = len(self.person), len(features)
        latest = slice(max(0, count - size), None)
        places = ((self.next + torch.arange(count, device=features.device)) % size)[latest]
        self.features[places] = features[latest].float()
        self.projections[places] = F.normalize(projections[latest].float(), dim=1)
        self.person[places] = person[latest]
        self.row[places] = row[latest]
        self.next.copy_((self.next + count) % size)


class Unwarp(Method[UnwarpSettings]):
    """Tell how a face was bent, keep its views together and its warps apart."""

    settings_type = UnwarpSettings
    batch_fields: ClassVar[frozenset[str]] = frozenset({"landmarks", "person", "row"})

    def __init__(self, backbone: nn.Module, dim: int, settings: UnwarpSettings) -> None:
        super().__init__(backbone, dim, settings)
        self.make_upright = ViewMaker(settings.views.model_copy(update={"flip": 0.0}))
        self.projector = mlp(dim, dim, settings.projection)
        if settings.regress:
            self.regressor = nn.Linear(dim, 2 * len(ANCHORS))
        if settings.neighbours:
            self.predictor = mlp(settings.projection, 2 * dim, settings.projection)
            self.queue = FaceQueue(settings.queue, dim, settings.projection)

    @torch.no_grad()
    def views(self, batch: Batch, generator: torch.Generator) -> Views:
        """Draw two views and the warped ones; "displacement" of the context is what the regression is to tell."""
        faces, landmarks = _flipped_at_random(batch["crops"], batch["landmarks"], generator)
        a, b = (self.make_view(faces, generator) for _ in range(2))
        points = carry_anchors(landmarks)
        warped, moved = [], []
        for _ in range(self.settings.negatives):
            warp = draw_warps(len(faces), self.settings.warps, generator, landmarks, faces.device)
            moved.append(warp.at(points[:, None])[:, 0])
            warped.append(self.make_upright(faces, generator, warp))
        return Views(
            a, b, torch.stack(warped), displacement=torch.stack(moved), person=batch["person"], row=batch["row"]
        )

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Return the weighted sum of the terms, each of them, and "gap", see `ferkit.ops.warp_losses.warp_gap`."""
        # One pass: separate ones would give warped faces batch-norm statistics of their own, which tells them apart.
        features = self.backbone(torch.cat([views.a, views.b, *views.warped]))
        parts = features.float().chunk(2 + len(views.warped))
        a, b, *rest = (gather_rows(rows) for rows in self.projector(features).float().chunk(len(parts)))
        warped = torch.stack(rest)
        terms: dict[str, Callable[[], Tensor]] = {
            "regress": lambda: self._regress(parts, cast(Tensor, views.displacement)),
            "contrast": lambda: self._contrast(a, b, warped, gather_rows(parts[0])),
            "spread": lambda: _spread(torch.stack([a, b])),
            "neighbours": lambda: self._neighbours(a, b, gather_rows(parts[0]), views),
        }
        figures = {name: term() for name, term in terms.items() if getattr(self.settings, name)}
        loss = torch.stack([getattr(self.settings, name) * value for name, value in figures.items()]).sum()
        return {"loss": loss, **figures, "gap": warp_gap(a, b, warped)}

    def _regress(self, parts: tuple[Tensor, ...], displacement: Tensor) -> Tensor:
        prediction = self.regressor(torch.cat(parts)).view(len(parts), -1, len(ANCHORS), 2)
        target = torch.cat([torch.zeros_like(displacement[:1]).expand(2, -1, -1, -1), displacement]) / _DISPLACEMENT
        return F.smooth_l1_loss(prediction.float(), target)

    def _contrast(self, a: Tensor, b: Tensor, warped: Tensor, features: Tensor) -> Tensor:
        tau = self.settings.temperature
        if not self.settings.strangers:
            return (own_warps_info_nce_loss(a, b, warped, tau) + own_warps_info_nce_loss(b, a, warped, tau)) / 2
        spared = _nearest_strangers(features, self.settings.spared) if self.settings.spared else None
        return nt_xent_loss(a, b, tau, warped.flatten(0, 1), spared)

    def _neighbours(self, a: Tensor, b: Tensor, features: Tensor, views: Views) -> Tensor:
        person, row = (gather_rows(cast(Tensor, numbers)) for numbers in (views.person, views.row))
        positive, has_neighbour = self.queue.nearest(features.detach(), person)
        prediction = self.predictor(b).float()
        rows = torch.arange(len(prediction), device=prediction.device)
        logits = cosine_matrix(prediction, positive)
        if not self.settings.strangers:
            logits = torch.where(rows[:, None] == rows, logits, -torch.inf)
        if self.settings.own_person:
            mates = (person[:, None] == self.queue.person) & (row[:, None] != self.queue.row)
            own = cosine_matrix(prediction, self.queue.projections.clone())
            logits = torch.cat([logits, own.masked_fill(~mates, -torch.inf)], 1)
        losses = F.cross_entropy(logits / self.settings.temperature, rows, reduction="none")
        if not self.settings.strangers:
            losses = losses + 2 - 2 * F.cosine_similarity(prediction, positive, dim=1)
        if self.training:
            self.queue.push(features.detach(), a.detach(), person, row)
        return (losses * has_neighbour).sum() / has_neighbour.sum().clamp(min=1)


def _flipped_at_random(crops: Tensor, landmarks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirror half of the (B, H, W, 3) crops with their (B, 5, 2) landmarks, so that a warp is told for both sides."""
    flip = chance((len(crops),), 0.5, generator).to(crops.device, non_blocking=True)
    mirrored = landmarks[:, (1, 0, 2, 4, 3)] * landmarks.new_tensor([-1, 1])
    mirrored = mirrored + landmarks.new_tensor([CROP_SIZE - 1, 0])  # landmarks are told of crops of this side
    turned = torch.where(flip[:, None, None, None], crops.flip(2), crops)
    return turned, torch.where(flip[:, None, None], mirrored, landmarks)


def _spread(views: Tensor) -> Tensor:
    """VICReg's variance and covariance terms of (V, B, D) projections, mean over the V, with the paper's 25 : 1."""
    return torch.stack([25 * variance_loss(view) + covariance_loss(view) for view in views]).mean() / 26


@torch.no_grad()
def _nearest_strangers(features: Tensor, share: float) -> Tensor:
    """(2B, 2B) bool: for each view of B faces, the views of the nearest others by centred (B, D) features."""
    centred = features - features.mean(0)
    cosines = cosine_matrix(centred, centred).fill_diagonal_(-torch.inf)
    count = max(1, round(share * (len(features) - 1)))
    near = torch.zeros_like(cosines, dtype=torch.bool).scatter_(1, cosines.topk(count, dim=1).indices, True)
    return near.repeat(2, 2)
