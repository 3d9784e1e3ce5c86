"""NT-Xent with what the parts know of its rows: false negatives, or positives that two anchors share."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ferkit.ops.cutmix import mixed_nt_xent_loss
from ferkit.ops.distributed import gather_rows, process_rank
from ferkit.ops.losses import nt_xent_loss
from ferkit.ops.masked_contrast import false_negatives, masked_nt_xent_losses

__all__ = ["Described", "Mixed", "contrast_figures"]


@dataclass(frozen=True)
class Described:
    """What MaskFN knows of N anchors and their N positives.

    Attributes:
        clip: (N,) int64 number of each anchor's clip, -1 for none.
        features: (N, 2, D) of eyes and mouth of each anchor and of its positive.
        legible: (N, 2) bool, whether both patches of each show something.
    """

    clip: Tensor
    features: Tensor
    legible: Tensor


@dataclass(frozen=True)
class Mixed:
    """What CutMix did to N positives.

    Attributes:
        partner: (N,) int64 row of the anchor whose positive was mixed in.
        share: (N,) how much of its own inner face each positive has kept, in [0, 1].
    """

    partner: Tensor
    share: Tensor


def contrast_figures(
    a: Tensor,
    b: Tensor,
    aside: Described | Mixed | None,
    temperature: float,
    pull: float,
    negatives: Tensor | None = None,
) -> dict[str, Tensor]:
    """NT-Xent as the parts need it: plain, without false negatives and with a pull, or with shared positives.

    Args:
        a: (M, D) projections of the anchors of all processes, any norm.
        b: (M, D) projections of their positives.
        aside: what the parts know of this process's rows.
        temperature: tau, > 0.
        pull: MaskFN's weight of L2.
        negatives: (K, D) projections that are nobody's positive, such as local warps, of all processes.

    Returns:
        "loss", and of MaskFN its terms "contrast" (L1) and "pull" (L2), all ().
    """
    if isinstance(aside, Described):
        first, second = masked_nt_xent_losses(a, b, _false_negatives(aside), temperature, negatives)
        return {"loss": first + pull * second, "contrast": first, "pull": second}
    if isinstance(aside, Mixed):
        partner = gather_rows(aside.partner + len(aside.partner) * process_rank())
        return {"loss": mixed_nt_xent_loss(a, b, partner, gather_rows(aside.share), temperature, negatives)}
    return {"loss": nt_xent_loss(a, b, temperature, negatives)}


def _false_negatives(aside: Described) -> Tensor:
    """(2 M,) rows of the M anchors and M positives of all processes; -1 for none."""
    clip, features, legible = (gather_rows(x) for x in (aside.clip, aside.features, aside.legible))
    alone = -1 - torch.arange(len(clip), device=clip.device)
    group = torch.where(clip < 0, alone, clip).repeat(2)
    return false_negatives(torch.cat(features.unbind(1)), group, torch.cat(legible.unbind(1)))
