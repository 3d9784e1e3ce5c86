"""CRS-CONT (Li et al., IEEE TIP 2022): supervised contrast (arXiv:2004.11362) over coarse classes of expressions.

Coarse labels say little more than whether a face is glad, unhappy, surprised or calm, and leave the network to find
what tells faces within a class apart: the supervision is weak. Of the paper are the loss over coarse classes, its
weights, the temperature and the head's widths; of the authors' code the two further terms, the views, the optimiser
and its schedule. ferkit's own are the head's batch norm, how unknown labels are met, classes that are drawn equally
often (``balance``), and local warps as further negatives, which join it with ContraWarping.
"""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal, Self, cast

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from ferkit.data.expressions import expression
from ferkit.errors import TrainingError
from ferkit.methods.base import Batch, Method, MethodSettings, mlp, present_labels
from ferkit.methods.views import Views
from ferkit.methods.warps import WarpSettings, draw_warps
from ferkit.ops.distributed import gather_rows
from ferkit.ops.losses import class_loss, nt_xent_loss, supervised_contrastive_loss
from ferkit.ops.warp_losses import warp_gap


class CoarseClass(BaseModel):
    """Labels that count as one class."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="of the class")
    labels: tuple[str, ...] = Field(min_length=1, description="what belongs to it; happy and happiness are the same")
    weight: float = Field(1.0, ge=0, description="of the loss of its faces")


_COARSE = (
    CoarseClass(name="positive", labels=("happiness",)),
    CoarseClass(name="negative", labels=("anger", "disgust", "fear", "sadness", "contempt"), weight=0.5),
    CoarseClass(name="neutral", labels=("neutral",)),
    CoarseClass(name="surprise", labels=("surprise",)),
)
"""The paper's four classes; which labels the positive and the neutral one hold is inferred."""


class CrsContSettings(MethodSettings):
    """The paper's numbers, and those of its code for views and the two further terms."""

    # The authors' crops of half to all of the area (here sides are drawn evenly), mirrored, recoloured.
    view_defaults: ClassVar = {
        "size": 224,
        "scale": (0.707, 1.0),
        "aspect": (0.75, 1.333),
        "rotation": 0.0,
        "blur": 0.0,
    }
    coarse: tuple[CoarseClass, ...] = Field(_COARSE, min_length=2, description="classes, each with labels and weight")
    classes: tuple[str, ...] = Field(
        (), description="labels of the face set that are used; none takes all with a class"
    )
    balance: Literal["none", "coarse"] = Field("none", description="coarse: draw all classes equally often")
    projection: int = Field(128, ge=1, description="width of the projection z")
    temperature: float = Field(0.07, gt=0, description="softmax temperature")
    classify: float = Field(1.0, ge=0, description="weight of the first view's cross entropy; 0 leaves it out")
    agree: float = Field(0.4, ge=0, description="weight of NT-Xent between the views' class shares; 0 leaves it out")
    warped: int = Field(0, ge=0, description="local warps of each face, as further negatives (ferkit's own)")
    warps: WarpSettings = Field(default_factory=WarpSettings, description="local warps")

    @model_validator(mode="after")
    def _check_coarse(self) -> Self:
        names = Counter(entry.name for entry in self.coarse)
        labels = Counter(expression(label) for entry in self.coarse for label in entry.labels)
        if twice := [name for name, times in (names + labels).items() if max(names[name], labels[name]) > 1]:
            raise ValueError(f"coarse names {twice[0]!r} twice")
        return self

    def coarse_number(self, label: str) -> int:
        """Place among ``coarse`` of the class that a label belongs to, whichever way it is written; -1 for none."""
        numbers = {expression(fine): number for number, entry in enumerate(self.coarse) for fine in entry.labels}
        return numbers.get(expression(label), -1)

    def for_labels(self, labels: Sequence[str | None]) -> Self:
        """Take the labels that belong to a coarse class, in alphabetical order, where no ``classes`` are set.

        Raises:
            TrainingError: fewer than two coarse classes occur.
        """
        present = present_labels("crs-cont", labels)
        classes = self.classes or tuple(label for label in present if self.coarse_number(label) >= 0)
        if len({self.coarse_number(label) for label in classes if label in present} - {-1}) < 2:
            accepted = ", ".join(label for entry in self.coarse for label in entry.labels)
            raise TrainingError(
                f"crs-cont needs labels of at least two of its coarse classes ({accepted}) and the faces have: "
                f"{', '.join(present[:8])}; set coarse to classes of those"
            )
        return self.model_copy(update={"classes": classes})


class CrsCont(Method[CrsContSettings]):
    """Pull together all views of a coarse class.

    A face of unknown label may be of any class. It is left out of the contrast and of the cross entropy; only the
    agreement of its two views, which asks for no label, and its warps take part.
    """

    settings_type = CrsContSettings
    supervision = "weak"
    batch_fields = frozenset({"label", "landmarks"})
    train_defaults: ClassVar = {
        **{"epochs": 100, "batch_size": 128, "optimizer": "momentum", "lr": 0.5, "warmup": 0},
        "milestones": ((0.2, 0.5), (0.4, 0.25), (0.6, 0.125), (0.8, 0.0625)),
    }
    coarse_of: Tensor
    weights: Tensor

    def __init__(self, backbone: nn.Module, dim: int, settings: CrsContSettings) -> None:
        """Take over ``backbone``; `CrsContSettings.for_labels` completes the settings.

        Raises:
            TrainingError: the settings name no classes.
        """
        super().__init__(backbone, dim, settings)
        if not settings.classes:
            raise TrainingError("crs-cont learns from coarse labels; set classes to the labels of the faces")
        self.projector = mlp(dim, dim, settings.projection)
        if settings.classify or settings.agree:
            self.classifier = nn.Linear(settings.projection, len(settings.coarse))
        numbers = [settings.coarse_number(label) for label in settings.classes]
        self.register_buffer("coarse_of", torch.tensor([*numbers, -1]), persistent=False)
        self.register_buffer("weights", torch.tensor([c.weight for c in settings.coarse]), persistent=False)

    def coarse_label(self, label: Tensor) -> Tensor:
        """Map (N,) numbers of ``classes``, -1 where unknown, to numbers of ``coarse``, -1 where unknown."""
        return self.coarse_of[label]  # -1 reads the last entry, which is -1

    def face_weights(self, label: Tensor) -> Tensor:
        """How often each face should be drawn, relative to the others.

        With ``balance`` the coarse classes that occur are drawn equally often. Faces of unknown label keep their share
        of the batches where the agreement uses them, and are never drawn where it is left out.

        Args:
            label: (N,) numbers of ``classes`` of all training faces, -1 where unknown.

        Returns:
            (N,) float64, >= 0.
        """
        coarse = self.coarse_label(label)
        has_class = coarse >= 0
        weights = torch.where(has_class, 1.0, float(self.settings.agree > 0)).double()
        if self.settings.balance == "coarse":
            counts = coarse[has_class].bincount()
            weights[has_class] = (has_class.sum() / (counts > 0).sum() / counts.double())[coarse[has_class]]
        return weights

    @torch.no_grad()
    def views(self, batch: Batch, generator: torch.Generator) -> Views:
        """Draw two views of each face, and those of its local warps."""
        faces, landmarks = batch["crops"], batch["landmarks"]
        a, b = (self.make_view(faces, generator) for _ in range(2))
        warped = a.new_empty(self.settings.warped, *a.shape)
        for view in warped:
            warp = draw_warps(len(faces), self.settings.warps, generator, landmarks, faces.device)
            view.copy_(self.make_view(faces, generator, warp))
        return Views(a, b, warped, batch["label"])

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Return the sum of the terms, each of them, and what tells of them, over all processes' batches together."""
        s = self.settings
        # One pass: separate ones would give warped faces batch-norm statistics of their own, which tells them apart.
        # In float32 for the sake of the small temperature.
        together = self.projector(self.backbone(torch.cat([views.a, views.b, *views.warped]))).float()
        a, b, *warped = (gather_rows(rows) for rows in together.chunk(2 + len(views.warped)))
        coarse = self.coarse_label(gather_rows(cast(Tensor, views.label))).repeat(2)
        anchors, negatives = torch.cat([a, b]), torch.cat(warped) if warped else None
        contrast = supervised_contrastive_loss(anchors, coarse, self.weights, s.temperature, negatives)
        figures = {"contrast": contrast, **self._further_terms(a, b, coarse[: len(a)])}
        if negatives is not None:
            figures["gap"] = warp_gap(a, b, torch.stack(warped))
        loss = contrast + s.classify * figures.get("classify", 0) + s.agree * figures.get("agree", 0)
        return {"loss": loss, **figures}

    def _further_terms(self, a: Tensor, b: Tensor, coarse: Tensor) -> dict[str, Tensor]:
        """The cross entropy of W z + b, of first views alone, and the views' agreement; z is of length 1."""
        terms = {}
        if self.settings.classify or self.settings.agree:
            logits, others = (self.classifier(F.normalize(z, dim=1)) for z in (a, b))
        if self.settings.classify:
            terms["classify"] = class_loss(logits, coarse)
        if self.settings.agree:
            terms["agree"] = nt_xent_loss(logits.softmax(1), others.softmax(1), self.settings.temperature)
        return terms
