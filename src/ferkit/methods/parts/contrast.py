"""NT-Xent with what the parts know of its rows: false negatives, or positives that two anchors share."""

from __future__ import annotations

import torch
from torch import Tensor

from ferkit.methods.loss_context import Described, LossContext, Mixed
from ferkit.ops.cutmix import mixed_nt_xent_loss
from ferkit.ops.distributed import gather_rows, process_rank
from ferkit.ops.losses import nt_xent_loss
from ferkit.ops.masked_contrast import false_negatives, masked_nt_xent_losses

__all__ = ["contrast_figures"]


def contrast_figures(
    a: Tensor,
    b: Tensor,
    context: LossContext,
    temperature: float,
    pull: float,
    negatives: Tensor | None = None,
) -> dict[str, Tensor]:
    """NT-Xent as the parts need it: plain, without false negatives and with a pull, or with shared positives.

    Args:
        a: (M, D) projections of the anchors of all processes, any norm.
        b: (M, D) projections of their positives.
        context: what the parts know of this process's rows.
        temperature: tau, > 0.
        pull: MaskFN's weight of L2.
        negatives: (K, D) projections that are nobody's positive, such as local warps, of all processes.

    Returns:
        "loss", and of MaskFN its terms "contrast" (L1) and "pull" (L2), all ().
    """
    if isinstance(context, Described):
        first, second = masked_nt_xent_losses(a, b, _false_negatives(context), temperature, negatives)
        return {"loss": first + pull * second, "contrast": first, "pull": second}
    if isinstance(context, Mixed):
        partner = gather_rows(context.partner + len(context.partner) * process_rank())
        return {"loss": mixed_nt_xent_loss(a, b, partner, gather_rows(context.share), temperature, negatives)}
    return {"loss": nt_xent_loss(a, b, temperature, negatives)}


def _false_negatives(context: Described) -> Tensor:
    """(2 M,) rows of the M anchors and M positives of all processes; -1 for none."""
    clip, features, legible = (gather_rows(x) for x in (context.clip, context.features, context.legible))
    alone = -1 - torch.arange(len(clip), device=clip.device)
    group = torch.where(clip < 0, alone, clip).repeat(2)
    return false_negatives(torch.cat(features.unbind(1)), group, torch.cat(legible.unbind(1)))
