"""Anchors and positives: TimeAug, HardNeg, FaceSwap and CutMix, which choose and paint faces before any view is made.

Batches hold B faces. With HardNeg these are 2 B anchors, for a hard negative is an anchor too, with its own positive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from ferkit.methods.anchors import EYES, MOUTH, anchor_points
from ferkit.methods.loss_context import Mixed
from ferkit.methods.parts.settings import PartsSettings
from ferkit.methods.random_ranges import chance
from ferkit.ops.cutmix import cut_boxes, kept_share, mix_boxes
from ferkit.ops.face_swap import inner_face_mask, stranger_rows, swap_faces

__all__ = ["Pairs", "draw_pairs", "inner_face"]

_MARGIN = _FEATHER = 0.2
"""Of the inner face around brows and mouth, in face coordinates (ferkit defaults)."""


@dataclass(frozen=True)
class Pairs:
    """N anchors with a positive each; N is B, or 2 B with HardNeg.

    Attributes:
        anchors: (N, H, W, 3) uint8 crops, as they are on disk.
        positives: (N, H, W, 3) uint8 crops, painted or not.
        unpainted: (N, H, W, 3) the positives as they are on disk.
        clip: (N,) int64 number of each anchor's clip, -1 for none; None where no part asks for it.
        landmarks: (N, 5, 2) of the anchors; None where the method does not ask for them.
        mixed: what CutMix did.
    """

    anchors: Tensor
    positives: Tensor
    unpainted: Tensor
    clip: Tensor | None = None
    landmarks: Tensor | None = None
    mixed: Mixed | None = None


def draw_pairs(batch: Mapping[str, Tensor], settings: PartsSettings, generator: torch.Generator) -> Pairs:
    """Make anchors and positives of a batch; without any parts each face is its own positive.

    Args:
        batch: "crops" and what `ferkit.methods.parts.settings.needs_of` names.
        settings: which parts.
        generator: source of all randomness, on the CPU.
    """
    pairs = _take_pairs(batch, settings)
    if "face-swap" in settings.parts:
        pairs = _swap(pairs, batch["crops"], settings.swap, generator)
    return _mix(pairs, generator) if "cutmix" in settings.parts else pairs


def _take_pairs(batch: Mapping[str, Tensor], settings: PartsSettings) -> Pairs:
    """TimeAug's positives, and HardNeg's anchors behind the others."""
    hard = "hard-neg" in settings.parts

    def anchored(what: str) -> Tensor | None:
        """What is known of the anchors, where it is asked for."""
        rows = [batch[name] for name in (what, f"hard_negative_{what}")[: 1 + hard] if name in batch]
        return torch.cat(rows) if rows else None

    anchors = torch.cat([batch["crops"], batch["hard_negative"]]) if hard else batch["crops"]
    positives = anchors
    if "time-aug" in settings.parts:
        positives = torch.cat([batch["positive"], batch["hard_positive"]]) if hard else batch["positive"]
    return Pairs(anchors, positives, positives, anchored("clip"), anchored("landmarks"))


def _swap(pairs: Pairs, outer: Tensor, probability: float, generator: torch.Generator) -> Pairs:
    """Give positives the outer face of another clip of the batch, a positive and that of its hard negative the same."""
    count, times = len(outer), len(pairs.anchors) // len(outer)
    chosen = chance((count,), probability, generator)
    stranger = _strangers(cast(Tensor, pairs.clip)[:count], generator)
    outer = outer[stranger].repeat(times, 1, 1, 1)
    mask = inner_face(outer.shape[1], outer.device)
    return replace(pairs, positives=swap_faces(pairs.positives, outer, mask, chosen.repeat(times)))


def _mix(pairs: Pairs, generator: torch.Generator) -> Pairs:
    """Show a rectangle of another clip's positive in each positive."""
    count, device = len(pairs.anchors), pairs.anchors.device
    boxes = cut_boxes(torch.rand(count, generator=generator), 2 * torch.rand(count, 2, generator=generator) - 1)
    partner = _strangers(cast(Tensor, pairs.clip), generator)
    positives = mix_boxes(pairs.positives, pairs.positives[partner], boxes.to(device))
    share = kept_share(boxes.to(device), inner_face(pairs.anchors.shape[1], device))
    return replace(pairs, positives=positives, mixed=Mixed(partner, share))


def _strangers(clip: Tensor, generator: torch.Generator) -> Tensor:
    """(n,) a row of another clip for each; the first row where all are of one, where nothing can be done."""
    alone = -1 - torch.arange(len(clip), device=clip.device)
    drawn = torch.rand(len(clip), generator=generator).to(clip.device)
    return stranger_rows(torch.where(clip < 0, alone, clip), drawn).clamp(min=0)


def inner_face(size: int, device: torch.device | None = None) -> Tensor:
    """(size, size) weights of brows, eyes, nose and mouth in a crop of the template, in [0, 1]."""
    return inner_face_mask(anchor_points((*EYES, *MOUTH)).to(device), size, _MARGIN, _FEATHER)
