"""The contract of a pre-training method."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn

from ferkit.errors import TrainingError
from ferkit.methods.views import ViewMaker, Views, ViewSettings

Batch = Mapping[str, Tensor]
"""The faces of one step: "crops", (B, H, W, 3) uint8 RGB, and what the method's `Method.batch_fields` names."""


class MethodSettings(BaseModel):
    """What every method can be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    view_defaults: ClassVar[Mapping[str, Any]] = {}
    """Global transforms that have other defaults for this method than `ViewSettings` has."""
    views: ViewSettings = Field(default_factory=ViewSettings, description="global transforms")

    @model_validator(mode="before")
    @classmethod
    def _complete_views(cls, values: Any) -> Any:  # noqa: ANN401 (whatever is validated)
        views = values.get("views", {}) if isinstance(values, dict) else None
        return {**values, "views": {**cls.view_defaults, **views}} if isinstance(views, Mapping) else values

    def for_labels(self, labels: Sequence[str | None]) -> Self:
        """Complete the settings from the labels of the faces to train on; only methods that need labels do.

        Raises:
            TrainingError: the method cannot learn from these labels.
        """
        return self


def present_labels(method: str, labels: Sequence[str | None]) -> list[str]:
    """Return the labels that faces have, each once, sorted.

    Raises:
        TrainingError: none of them has one.
    """
    present = sorted({label for label in labels if label is not None})
    if not present:
        raise TrainingError(
            f"{method} learns from labels and none of the {len(labels)} faces has one; give labelled faces, such as a "
            "folder for each label, or another --method"
        )
    return present


S = TypeVar("S", bound=MethodSettings)


class Method(nn.Module, ABC, Generic[S]):
    """A backbone with the heads and the loss that train it.

    To add a method: one file with a settings class and a subclass that has `loss` (and `after_step` if something
    follows the optimiser, such as a moving average), and one line in `ferkit.methods.METHODS`.
    """

    settings_type: ClassVar[type[MethodSettings]]
    supervision: Literal["unsupervised", "weak", "supervised"] = "unsupervised"
    """What the encoder learns from, as its card says it."""
    batch_fields: ClassVar[frozenset[str]] = frozenset()
    """What a batch holds beside "crops", B rows each. Of the faces themselves: "label", int64 class number, -1 for
    unknown; "votes", (C,) float32 share of each class; "row", int64 number of the face; "person", int64, equal for
    faces of one person; "landmarks", (5, 2) float32 pixels of the crop, the template's points where the face set has
    none; "clip", int64 number. Other faces, drawn anew each time, as crops: "partner", any other face of the clip;
    "stranger", any face of another person; "positive", another frame of the clip within `Windows`; "hard_negative", a
    frame of the clip far away, or where there is none a face of another clip; "hard_positive", the positive of that. Of
    these the same is known, such as "hard_negative_clip", and with them "moment": int64 microseconds, clips lying
    further apart than ``windows.hard``.
    """
    network: ClassVar[str | None] = None
    """The one backbone that it learns; None for any."""
    train_defaults: ClassVar[Mapping[str, Any]] = {}
    """Settings of the loop, without dots, that have other defaults for this method than `TrainSettings` has."""
    settings: S

    def __init__(self, backbone: nn.Module, dim: int, settings: S) -> None:
        """Take over ``backbone``, which maps (B, 3, S, S) to (B, dim)."""
        super().__init__()
        self.backbone = backbone
        self.settings = settings
        self.make_view = ViewMaker(settings.views)

    @classmethod
    def batch_fields_with(cls, settings: S) -> frozenset[str]:
        """`batch_fields` of a method whose settings decide what it needs."""
        return cls.batch_fields

    @torch.no_grad()
    def views(self, batch: Batch, generator: torch.Generator) -> Views:
        """Draw the views of one batch.

        Args:
            batch: "crops" and what `batch_fields` names, on the device that trains.
            generator: source of all randomness, on the CPU.
        """
        a, b = (self.make_view(batch["crops"], generator) for _ in range(2))
        return Views(a, b, label=batch.get("label"))

    def face_weights(self, label: Tensor) -> Tensor | None:
        """How often each face is drawn, relative to the others; only methods that need labels are asked.

        Args:
            label: (N,) int64 class numbers of all training faces, -1 where unknown.

        Returns:
            (N,) float64, >= 0; None draws each face once an epoch.
        """
        return None

    @abstractmethod
    def loss(self, views: Views) -> dict[str, Tensor]:
        """Return the scalar to minimise as "loss", and any figures to watch beside it."""

    def forward(self, views: Views) -> dict[str, Tensor]:
        """Compute `loss`; wrappers such as DistributedDataParallel call this."""
        return self.loss(views)

    @property
    def parent_run(self) -> str | None:
        """Run folder of the stage that this one builds upon; None for a method that begins by itself."""
        return None

    def load_parent(self, weights: Mapping[str, Tensor]) -> None:
        """Take over what it needs of the weights of the method that ran in `parent_run`.

        Raises:
            TrainingError: they are of another method, or of one with other settings.
        """

    @torch.no_grad()
    def projection(self, features: Tensor, batch: Batch) -> Tensor | None:
        """What the finished encoder maps its centred features by, see `ferkit.encoders.encoder.Encoder`.

        Args:
            features: (N, D) of some training faces, on the CPU.
            batch: what `batch_fields` names of these faces.

        Returns:
            (D, E), E numbers a vector; None leaves the features as they are.
        """
        return None

    @torch.no_grad()
    def pictures(self, views: Views) -> list[Tensor]:
        """What a look at a run draws of some faces: (B, 3, S, S) each, normalised as the views are."""
        return [views.a, views.b, *views.warped]

    def after_step(self, done: float) -> None:
        """Follow up on an optimiser step; ``done`` is the share of training behind us, in (0, 1]."""

    def advice(self, rows: Collection[Mapping[str, float]]) -> str | None:
        """Say what is amiss by the last rows of metrics.csv, and which settings mend it; None where nothing is."""
        return None


def mlp(*widths: int, norm: bool = True) -> nn.Sequential:
    """Linear layers with batch norm and ReLU between them, the last one bare.

    Args:
        widths: sizes from input to output, at least two.
        norm: False leaves the batch norms out.
    """
    layers: list[nn.Module] = []
    for wide, narrow in pairwise(widths[:-1]):
        layers.append(nn.Linear(wide, narrow, bias=not norm))
        if norm:
            layers.append(nn.BatchNorm1d(narrow))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))
