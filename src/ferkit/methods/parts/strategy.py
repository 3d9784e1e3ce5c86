"""What a method of pairs does for the parts that its settings name: false negatives, the contrast, the three steps."""

from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ferkit.encoders.encoder import load_encoder
from ferkit.methods.anchors import EYES, MOUTH, anchor_points
from ferkit.methods.base import Batch
from ferkit.methods.parts.pairs import Pairs, draw_pairs
from ferkit.methods.parts.settings import PartsSettings
from ferkit.methods.views import Described, LossContext, Mixed, to_float
from ferkit.ops.cutmix import mixed_nt_xent_loss
from ferkit.ops.distributed import gather_rows, process_rank
from ferkit.ops.losses import nt_xent_loss
from ferkit.ops.masked_contrast import box_around, cut_patches, false_negatives, legible, masked_nt_xent_losses

_EYE_MARGIN, _MOUTH_MARGIN = 0.1, 0.12
"""Around brows and eyes, and around the lips, in face coordinates (ferkit defaults)."""


class Describer:
    """Describes faces by the features that an encoder has of two patches: the template's eyes, and its mouth.

    It is no module: its weights never change, and no checkpoint, optimiser or moving average holds them.

    Args:
        encoder: a name of ``ferkit models list``, a run folder, a weights file, or ``hf-hub:user/name``.

    Attributes:
        supervision: what the encoder has learnt from.

    Raises:
        FerkitError: as `ferkit.encoders.encoder.load_encoder`.
    """

    def __init__(self, encoder: str) -> None:
        self._encoder = load_encoder(encoder, device="cpu").requires_grad_(False)
        self.supervision = self._encoder.entry.supervision
        boxes = [(EYES, _EYE_MARGIN), (MOUTH, _MOUTH_MARGIN)]
        self._boxes = torch.stack([box_around(anchor_points(names), margin) for names, margin in boxes])

    @torch.no_grad()
    def __call__(self, pairs: Pairs) -> Described:
        """Describe anchors and positives as they are on disk: a swap changes no expression."""
        faces = torch.stack([pairs.anchors, pairs.unpainted], 1).flatten(0, 1)
        boxes = self._boxes.to(faces.device).expand(len(faces), -1, -1)
        patches = cut_patches(to_float(faces), boxes, self._encoder.entry.field)
        features = self._features(patches.flatten(0, 1)).view(len(pairs.anchors), 2, -1)
        return Described(cast(Tensor, pairs.clip), features, legible(patches).view(-1, 2))

    def _features(self, patches: Tensor) -> Tensor:
        """(R, 3, s, s) RGB in [0, 1] -> (R, D) of length 1, so that eyes and mouth count alike."""
        encoder = self._encoder.to(patches.device)
        with torch.autocast("cuda", dtype=torch.bfloat16, enabled=patches.is_cuda):
            features: Tensor = encoder(encoder.prepare(255 * patches.movedim(1, -1)))
        return F.normalize(features.float(), dim=1)


def near_frames(moments: Tensor, least_apart: int) -> Tensor:
    """Say which rows show a person nearly as another row does, and are not to be pushed away from it.

    The authors' batches hold one anchor a clip and its hard negative. Here the order of the faces is free, and frames
    of a clip that are nearer to each other than a hard negative are no negatives.

    Args:
        moments: (M, 2) int64 microseconds of this process's anchors and positives, clips being far apart.
        least_apart: of a hard negative, in microseconds.

    Returns:
        (2M, 2M) bool of the M anchors and M positives of all processes; never a row's own positive.
    """
    moment = torch.cat(gather_rows(moments).unbind(1))
    near = (moment[:, None] - moment).abs() < least_apart
    row = torch.arange(len(moment), device=moment.device)
    return near & (row[:, None] != row.roll(len(row) // 2))


def _false_negatives(context: Described) -> Tensor:
    """(2 M,) rows of the M anchors and M positives of all processes; -1 for none."""
    clip, features, legible = (gather_rows(x) for x in (context.clip, context.features, context.legible))
    alone = -1 - torch.arange(len(clip), device=clip.device)
    group = torch.where(clip < 0, alone, clip).repeat(2)
    return false_negatives(torch.cat(features.unbind(1)), group, torch.cat(legible.unbind(1)))


class PairStrategy:
    """The parts of SSL-FER as `pairs`, `context` and `contrast`, called in this order; without parts each does nothing.

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
        """NT-Xent as the parts need it: plain, without false negatives and with a pull, or with shared positives.

        Args:
            a: (M, D) projections of the anchors of all processes, any norm.
            b: (M, D) projections of their positives.
            context: what the parts know of this process's rows.
            temperature: tau, > 0.
            negatives: (K, D) projections that are nobody's positive, such as local warps, of all processes.
            moments: of this process's rows, see `near_frames`.

        Returns:
            "loss", and of MaskFN its terms "contrast" (L1) and "pull" (L2), all ().
        """
        spared = self.spared(moments)
        if isinstance(context, Described):
            false = _false_negatives(context)
            first, second = masked_nt_xent_losses(a, b, false, temperature, negatives, spared)
            return {"loss": first + self.settings.pull * second, "contrast": first, "pull": second}
        if isinstance(context, Mixed):
            partner = gather_rows(context.partner + len(context.partner) * process_rank())
            share = gather_rows(context.share)
            return {"loss": mixed_nt_xent_loss(a, b, partner, share, temperature, negatives, spared)}
        return {"loss": nt_xent_loss(a, b, temperature, negatives, spared)}

    def spared(self, moments: Tensor | None) -> Tensor | None:
        """Say which rows are no negatives of each other, see `near_frames`."""
        return None if moments is None else near_frames(moments, self.settings.windows.least_apart)
