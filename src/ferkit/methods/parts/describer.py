"""MaskFN's look at faces: what a fixed network finds in the eyes and the mouth."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ferkit.encoders.encoder import load_encoder
from ferkit.methods.anchors import EYES, MOUTH, anchor_points
from ferkit.methods.loss_context import Described
from ferkit.methods.parts.pairs import Pairs
from ferkit.methods.views import to_float
from ferkit.ops.masked_contrast import box_around, cut_patches, legible

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
