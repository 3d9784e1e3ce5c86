"""NT-Xent with what the parts know of its rows: false negatives, or positives that two anchors share."""

import torch
from torch import Tensor

from ferkit.methods.loss_context import Described, LossContext, Mixed
from ferkit.ops.cutmix import mixed_nt_xent_loss
from ferkit.ops.distributed import gather_rows, process_rank
from ferkit.ops.losses import nt_xent_loss
from ferkit.ops.masked_contrast import false_negatives, masked_nt_xent_losses


def contrast_figures(
    a: Tensor,
    b: Tensor,
    context: LossContext,
    temperature: float,
    pull: float,
    negatives: Tensor | None = None,
    spared: Tensor | None = None,
) -> dict[str, Tensor]:
    """NT-Xent as the parts need it: plain, without false negatives and with a pull, or with shared positives.

    Args:
        a: (M, D) projections of the anchors of all processes, any norm.
        b: (M, D) projections of their positives.
        context: what the parts know of this process's rows.
        temperature: tau, > 0.
        pull: MaskFN's weight of L2.
        negatives: (K, D) projections that are nobody's positive, such as local warps, of all processes.
        spared: (2M, 2M) bool, see `near_frames`.

    Returns:
        "loss", and of MaskFN its terms "contrast" (L1) and "pull" (L2), all ().
    """
    if isinstance(context, Described):
        first, second = masked_nt_xent_losses(a, b, _false_negatives(context), temperature, negatives, spared)
        return {"loss": first + pull * second, "contrast": first, "pull": second}
    if isinstance(context, Mixed):
        partner = gather_rows(context.partner + len(context.partner) * process_rank())
        share = gather_rows(context.share)
        return {"loss": mixed_nt_xent_loss(a, b, partner, share, temperature, negatives, spared)}
    return {"loss": nt_xent_loss(a, b, temperature, negatives, spared)}


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
