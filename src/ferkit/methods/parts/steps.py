"""The three steps that a method of pairs takes for the parts that its settings name; without any, each does nothing."""

from typing import Literal

import torch
from torch import Tensor

from ferkit.methods.base import Batch
from ferkit.methods.loss_context import LossContext
from ferkit.methods.parts.contrast import contrast_figures, near_frames
from ferkit.methods.parts.describer import Describer
from ferkit.methods.parts.pairs import Pairs, draw_pairs
from ferkit.methods.parts.settings import PartsSettings


class PairStrategy:
    """PairStrategy of SSL-FER as `pairs`, `context` and `contrast`, called in this order.

    Args:
        settings: of the method.

    Raises:
        FerkitError: MaskFN's descriptor cannot be loaded.
    """

    def __init__(self, settings: PartsSettings) -> None:
        self.settings = settings
        self._describe = Describer(settings.descriptor) if "mask-fn" in settings.parts else None

    @property
    def supervision(self) -> Literal["unsupervised", "weak"]:
        """Weak where MaskFN asks an encoder that is known to have learnt from labels."""
        labelled = self._describe is not None and self._describe.supervision in ("weak", "supervised")
        return "weak" if labelled else "unsupervised"

    def pairs(self, batch: Batch, generator: torch.Generator) -> Pairs:
        """Choose and paint anchors and positives: TimeAug, HardNeg, FaceSwap, CutMix."""
        return draw_pairs(batch, self.settings, generator)

    def context(self, pairs: Pairs) -> LossContext:
        """Say what the loss must know of the pairs beside their views: MaskFN, CutMix."""
        return pairs.mixed if self._describe is None else self._describe(pairs)

    def contrast(
        self,
        a: Tensor,
        b: Tensor,
        context: LossContext,
        temperature: float,
        negatives: Tensor | None = None,
        moments: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Compute NT-Xent as the parts need it, see `ferkit.methods.parts.contrast.contrast_figures`."""
        return contrast_figures(a, b, context, temperature, self.settings.pull, negatives, self.spared(moments))

    def spared(self, moments: Tensor | None) -> Tensor | None:
        """Say which rows are no negatives of each other, see `ferkit.methods.parts.contrast.near_frames`."""
        return None if moments is None else near_frames(moments, self.settings.windows.least_apart)
