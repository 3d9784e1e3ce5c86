"""SSL-FER (Shu, Gu, Yang, Lo, BMVC 2022, arXiv:2210.03853): SimCLR that is kept from learning identity.

A face's positive is another frame of its clip; a negative is a frame of the same person much later; positives wear
another person's outer face; and the negative whose eyes and mouth look most alike is pulled instead of pushed. Each of
these is a part that can be left out, see `ferkit.methods.parts`. Without any it is SimCLR with the paper's settings.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from ferkit.methods.base import Batch, Method, mlp
from ferkit.methods.parts.settings import Part, PartsField, PartsSettings, needs_of
from ferkit.methods.parts.strategy import PairStrategy
from ferkit.methods.views import ViewMaker, Views
from ferkit.ops.distributed import gather_rows

ROWS: dict[str, tuple[Part, ...]] = {
    "a": ("time-aug",),
    "b": ("time-aug", "hard-neg"),
    "c": ("time-aug", "hard-neg", "cutmix"),
    "d": ("time-aug", "face-swap", "mask-fn"),
    "e": ("time-aug", "hard-neg", "face-swap"),
    "f": ("time-aug", "hard-neg", "mask-fn"),
    "g": ("time-aug", "hard-neg", "face-swap", "mask-fn"),
}
"""The rows of the paper's table."""


class SslFerSettings(PartsSettings):
    """The paper's numbers, and all parts of its last row."""

    # The authors' square of 112 out of 128 pixels, flipped or not, colours, mouth or an eye masked.
    view_defaults: ClassVar = {"scale": (0.875, 0.875), "aspect": (1.0, 1.0), "rotation": 0.0, "hue": 0.2, "mask": 0.8}
    parts: PartsField = Field(ROWS["g"], description="any of time-aug, hard-neg, face-swap, mask-fn, cutmix")
    anchor_jitter: float = Field(1.0, ge=0, le=1, description="chance of any colour jitter of anchors")
    projection: int = Field(128, ge=1, description="width of the projection")
    temperature: float = Field(0.07, gt=0, description="softmax temperature")


class SslFer(Method[SslFerSettings]):
    """Find each anchor's positive among all anchors and positives of the batch."""

    settings_type = SslFerSettings
    train_defaults: ClassVar = {"batch_size": 128, "optimizer": "adam", "lr": 3e-4, "weight_decay": 1e-4}

    def __init__(self, backbone: nn.Module, dim: int, settings: SslFerSettings) -> None:
        super().__init__(backbone, dim, settings)
        self.projector = mlp(dim, dim, settings.projection)
        self.make_anchor = ViewMaker(settings.views.model_copy(update={"jitter": settings.anchor_jitter}))
        self.parts = PairStrategy(settings)
        self.supervision = self.parts.supervision

    @classmethod
    def batch_fields_with(cls, settings: SslFerSettings) -> frozenset[str]:
        """What the parts need."""
        return needs_of(settings)

    @torch.no_grad()
    def views(self, batch: Batch, generator: torch.Generator) -> Views:
        """Draw a view of each anchor and one of its positive."""
        pairs = self.parts.pairs(batch, generator)
        a, b = self.make_anchor(pairs.anchors, generator), self.make_view(pairs.positives, generator)
        return Views(a, b, context=self.parts.context(pairs), moments=pairs.moments)

    def loss(self, views: Views) -> dict[str, Tensor]:
        """Return NT-Xent as the parts need it, over all processes' batches together."""
        a, b = self.projector(self.backbone(torch.cat([views.a, views.b]))).chunk(2)
        a, b = gather_rows(a), gather_rows(b)
        return self.parts.contrast(a, b, views.context, self.settings.temperature, moments=views.moments)
