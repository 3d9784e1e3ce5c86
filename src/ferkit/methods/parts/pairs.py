"""Anchors and positives: TimeAug, HardNeg, FaceSwap and CutMix, which choose and paint faces before any view is made.

Batches hold B faces. With HardNeg these are 2 B anchors, for a hard negative is an anchor too, with its own positive.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from ferkit.methods.anchors import EYES, MOUTH, anchor_points
from ferkit.methods.parts.settings import PartsSettings
from ferkit.methods.random_ranges import chance
from ferkit.methods.views import Mixed
from ferkit.ops.cutmix import cut_boxes, kept_share, mix_boxes
from ferkit.ops.face_swap import inner_face_mask, stranger_rows, swap_faces

_MARGIN = _FEATHER = 0.2
"""Of the inner face around brows and mouth, in face coordinates (ferkit defaults)."""


@dataclass(frozen=True)
class Pairs:
    """N anchors with a positive each; N is B, or 2 B with HardNeg."""

    anchors: Tensor  # (N, H, W, 3) uint8 crops, as they are on disk
    positives: Tensor  # (N, H, W, 3) uint8 crops, painted or not
    unpainted: Tensor  # (N, H, W, 3) the positives as they are on disk
    clip: Tensor | None = None  # (N,) int64 number of each anchor's clip, -1 for none; None where no part asks for it
    moments: Tensor | None = None  # (N, 2) int64 microseconds of each anchor and its positive; None without TimeAug
    landmarks: Tensor | None = None  # (N, 5, 2) of the anchors; None where the method does not ask for them
    mixed: Mixed | None = None  # what CutMix did


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

    def both(first: str, second: str) -> Tensor | None:
        """What there is of the batch's own faces and, with HardNeg, of the others, where it is asked for."""
        rows = [batch[name] for name in (first, second)[: 1 + hard] if name in batch]
        if len(rows) > 1:
            return torch.cat(rows)
        return rows[0] if rows else None

    anchors = positives = cast(Tensor, both("crops", "hard_negative"))
    moments = None
    if "time-aug" in settings.parts:
        positives = cast(Tensor, both("positive", "hard_positive"))
        times = both("moment", "hard_negative_moment"), both("positive_moment", "hard_positive_moment")
        moments = torch.stack(cast(tuple[Tensor, Tensor], times), 1)
    clip, landmarks = (both(what, f"hard_negative_{what}") for what in ("clip", "landmarks"))
    return Pairs(anchors, positives, positives, clip, moments, landmarks)


def _swap(pairs: Pairs, outer: Tensor, probability: float, generator: torch.Generator) -> Pairs:
    """Give positives the outer face of another clip of the batch; that of a hard negative wears the same, if any."""
    count, times = len(outer), len(pairs.anchors) // len(outer)
    chosen = chance((times * count,), probability, generator)
    stranger = _strangers(cast(Tensor, pairs.clip)[:count], generator)
    outer = outer[stranger].repeat(times, 1, 1, 1)
    mask = inner_face(outer.shape[1], outer.device)
    return replace(pairs, positives=swap_faces(pairs.positives, outer, mask, chosen))


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
