"""The contract of a pre-training method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import Any, ClassVar, Generic, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from ferkit.methods.views import ViewMaker, Views, ViewSettings, to_float

__all__ = ["Method", "MethodSettings", "mlp"]


class MethodSettings(BaseModel):
    """What every method can be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    views: ViewSettings = Field(default_factory=ViewSettings, description="global transforms")


S = TypeVar("S", bound=MethodSettings)


class Method(nn.Module, ABC, Generic[S]):
    """A backbone with the heads and the loss that train it.

    To add a method: one file with a settings class and a subclass that has `loss` (and `after_step` if something
    follows the optimiser, such as a moving average), and one line in `ferkit.methods.METHODS`.
    """

    settings_type: ClassVar[type[MethodSettings]]
    settings: S

    def __init__(self, backbone: nn.Module, dim: int, settings: S) -> None:
        """Take over ``backbone``, which maps (B, 3, S, S) to (B, dim)."""
        super().__init__()
        self.backbone = backbone
        self.settings = settings
        self.make_view = ViewMaker(settings.views)

    @torch.no_grad()
    def views(self, crops: Tensor, generator: torch.Generator) -> Views:
        """Draw the views of one batch.

        Args:
            crops: (B, H, W, 3) uint8 RGB face crops, on the device that trains.
            generator: source of all randomness, on the CPU.
        """
        faces = to_float(crops)
        a, b = (self.make_view(faces, generator) for _ in range(2))
        return Views(a, b, a.new_empty(0, *a.shape))

    @abstractmethod
    def loss(self, views: Views) -> dict[str, Tensor]:
        """Return the scalar to minimise as "loss", and any figures to watch beside it."""

    def forward(self, views: Views) -> dict[str, Tensor]:
        """Compute `loss`; wrappers such as DistributedDataParallel call this."""
        return self.loss(views)

    def after_step(self, done: float) -> None:
        """Follow up on an optimiser step; ``done`` is the share of training behind us, in (0, 1]."""


def mlp(*widths: int) -> nn.Sequential:
    """Linear layers with batch norm and ReLU between them, the last one bare.

    Args:
        widths: sizes from input to output, at least two.
    """
    layers: list[Any] = []
    for wide, narrow in pairwise(widths[:-1]):
        layers += [nn.Linear(wide, narrow, bias=False), nn.BatchNorm1d(narrow), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))
