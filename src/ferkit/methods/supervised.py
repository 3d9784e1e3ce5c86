"""Supervised pre-training, the reference for methods without labels: cross entropy, or balanced softmax.

Balanced softmax: Ren et al., 2020, arXiv:2007.10740.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Literal, Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from ferkit.errors import TrainingError
from ferkit.methods.base import Batch, Method, MethodSettings, present_labels
from ferkit.methods.views import Views
from ferkit.ops.distributed import gather_rows
from ferkit.ops.losses import class_loss


class SupervisedSettings(MethodSettings):
    """What is told apart and how errors count (ferkit defaults)."""

    classes: tuple[str, ...] = Field((), description="labels to tell apart, in their order; none takes the face set's")
    class_counts: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (), description="faces of each class; none counts the face set's"
    )
    copies: Literal[1, 2] = Field(1, description="views of each face in a batch")
    smoothing: float = Field(0.0, ge=0, lt=1, description="share of the target spread evenly over all classes")
    balance: Literal["none", "softmax"] = Field(
        "none", description="softmax: balanced softmax (arXiv:2007.10740), for classes of very different frequency"
    )

    @model_validator(mode="after")
    def _check_classes(self) -> Self:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes names a label twice")
        if self.class_counts and len(self.class_counts) != len(self.classes):
            raise ValueError(f"class_counts holds {len(self.class_counts)} numbers for {len(self.classes)} classes")
        return self

    def for_labels(self, labels: Sequence[str | None]) -> Self:
        """Take the classes from the labels where none are set, in alphabetical order, and count their faces.

        Raises:
            TrainingError: fewer than two of the classes occur.
        """
        present, counts = present_labels("supervised", labels), Counter(labels)
        classes = self.classes or tuple(present)
        if sum(counts[name] > 0 for name in classes) < 2:
            among = f" of {', '.join(classes)}" if set(classes) != set(present) else ""
            raise TrainingError(
                f"supervised needs at least two labels{among} and the faces have: {', '.join(present[:8])}; "
                "set classes to some of those"
            )
        return self.model_copy(
            update={"classes": classes, "class_counts": self.class_counts or tuple(counts[name] for name in classes)}
        )


class Supervised(Method[SupervisedSettings]):
    """Name the label of every view."""

    settings_type = SupervisedSettings
    supervision = "supervised"
    batch_fields = frozenset({"label"})
    counts: Tensor | None

    def __init__(self, backbone: nn.Module, dim: int, settings: SupervisedSettings) -> None:
        """Take over ``backbone``; `SupervisedSettings.for_labels` completes the settings.

        Raises:
            TrainingError: the settings name fewer than two classes, or balance them without their counts.
        """
        super().__init__(backbone, dim, settings)
        if len(settings.classes) < 2:
            raise TrainingError(f"supervised needs two classes or more, not {list(settings.classes)}; set classes")
        if settings.balance == "softmax" and not settings.class_counts:
            raise TrainingError("balance=softmax needs the number of faces of each class; set class_counts")
        self.classifier = nn.Linear(dim, len(settings.classes))
        counts = torch.tensor(settings.class_counts) if settings.balance == "softmax" else None
        self.register_buffer("counts", counts, persistent=False)

    @torch.no_grad()
    def views(self, batch: Batch, generator: torch.Generator) -> Views:
        """Draw one view of each face, or two; one stands in both places."""
        if self.settings.copies == 2:
            return super().views(batch, generator)
        view = self.make_view(batch["crops"], generator)
        return Views(view, view, label=batch["label"])

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Return the cross entropy and "accuracy", over the faces of known label in all processes."""
        images = views.a if self.settings.copies == 1 else torch.cat([views.a, views.b])
        logits = gather_rows(self.classifier(self.backbone(images)))
        label = gather_rows(cast(Tensor, views.label).repeat(self.settings.copies))
        loss = class_loss(logits, label, self.settings.smoothing, self.counts)
        return {"loss": loss, "accuracy": (logits.argmax(1) == label).sum() / (label >= 0).sum().clamp(min=1)}
