"""CutMix for contrast: a positive that shows two people's faces has two partners.

SSL-FER's poster (Shu et al., BMVC 2022) has a row with CutMix and says no more; its code has none. This is ferkit's own
design, after CutMix (arXiv:1905.04899) with the positives in place of the images and the anchors in place of the
classes. A rectangle of a positive shows what another person's positive has at the same place of the template; the
anchors stay real. The mixed face then is the positive of both anchors, of each by its share. By default the shares are
those of the inner face, not of the picture: a rectangle of hair and background tells nothing of an expression.

With a_i the anchors, b_i the mixed positives, k(i) whose positive was mixed into b_i, and w_i the share that is left
of its own, the targets are w_i for (i, i) and 1 - w_i for (k(i), i); `mixed_nt_xent_loss` is NT-Xent's cross entropy
against them, from either side.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ferkit.ops.losses import contrast_logits


def cut_boxes(share: Tensor, centers: Tensor) -> Tensor:
    """Lay a box of the crop's own proportions around each centre; what reaches over the crop's edge is lost.

    Args:
        share: (B,) area of the whole box over that of the crop, in [0, 1]; CutMix draws it evenly.
        centers: (B, 2) face coordinates: x and y in [-1, 1], -1 and 1 at the crop's outer edges.

    Returns:
        (B, 4) left, top, right, bottom in face coordinates, within [-1, 1].
    """
    reach = share.sqrt()[:, None]
    return torch.cat([centers - reach, centers + reach], 1).clamp(-1, 1)


def mix_boxes(faces: Tensor, others: Tensor, boxes: Tensor) -> Tensor:
    """Show within each face's box what another face has there.

    Args:
        faces: (B, H, W, 3) crops.
        others: (B, H, W, 3) crops on the same template.
        boxes: (B, 4), see `cut_boxes`; a pixel belongs to a box that holds its centre.

    Returns:
        (B, H, W, 3), of the faces' dtype.
    """
    return torch.where(inside_boxes(boxes, faces.shape[1], faces.shape[2])[..., None], others, faces)


def kept_share(boxes: Tensor, weights: Tensor) -> Tensor:
    """Measure what is left of each face beside its box.

    Args:
        boxes: (B, 4), see `cut_boxes`.
        weights: (H, W) what each pixel counts, >= 0 and not all 0: `ferkit.ops.face_swap.inner_face_mask`, or ones
            for CutMix's own shares.

    Returns:
        (B,) shares of the weight that lies outside the boxes, in [0, 1].
    """
    cut = inside_boxes(boxes, *weights.shape).flatten(1).to(weights.dtype) @ weights.flatten()
    return (1 - cut / weights.sum()).clamp(0, 1)


def inside_boxes(boxes: Tensor, height: int, width: int) -> Tensor:
    """Say which pixels' centres lie in the boxes: (B, 4), see `cut_boxes` -> (B, height, width) bool."""
    x, y = (
        (torch.arange(count, device=boxes.device, dtype=boxes.dtype) * 2 + 1) / count - 1 for count in (width, height)
    )
    left, top, right, bottom = boxes[..., None].unbind(1)
    across, down = (left <= x) & (x < right), (top <= y) & (y < bottom)
    return down[:, :, None] & across[:, None, :]


def mixed_nt_xent_loss(
    a: Tensor,
    b: Tensor,
    partner: Tensor,
    share: Tensor,
    temperature: float,
    negatives: Tensor | None = None,
    spared: Tensor | None = None,
) -> Tensor:
    """NT-Xent (arXiv:2002.05709, eq. 1) where each mixed positive has two anchors.

    A row of b has the target ``share`` on its own anchor and 1 - ``share`` on the other. An anchor has the same numbers
    on all mixed faces that show it, divided by their sum. Shares of 1 give `ferkit.ops.losses.nt_xent_loss`.

    Args:
        a: (N, D) projections of the anchors, any norm.
        b: (N, D) projections of the mixed positives, same rows.
        partner: (N,) int64 row of the anchor whose positive was mixed in, see `ferkit.ops.face_swap.stranger_rows`.
        share: (N,) w in [0, 1], see `kept_share`.
        temperature: > 0.
        negatives: (M, D) projections that are nobody's positive and no anchors either, such as local warps; they join
            every anchor's negatives.
        spared: (2N, 2N) bool, which rows are no negatives of which; those that are positives stay.

    Returns:
        () mean over the 2N rows of -sum of targets times log softmax; an anchor that no mixed face shows counts 0.
    """
    rows = len(a)
    if spared is not None:
        shown = torch.eye(rows, dtype=torch.bool, device=a.device).scatter(1, partner[:, None], True)
        spared = spared & ~F.pad(shown.T, (rows, 0, 0, rows)) & ~F.pad(shown, (0, rows, rows, 0))
    logits = contrast_logits(torch.cat([a, b]), temperature, negatives, spared)
    share = share.to(logits)
    of_mixed = torch.diag(share).scatter_add(1, partner[:, None], (1 - share)[:, None])
    log_softmax = logits.log_softmax(1).masked_fill(logits.isneginf(), 0)  # whose targets are 0
    of_anchor = of_mixed.T / of_mixed.sum(0).clamp(min=torch.finfo(share.dtype).tiny)[:, None]
    summed = (of_anchor * log_softmax[:rows, rows : 2 * rows]).sum() + (of_mixed * log_softmax[rows:, :rows]).sum()
    return -summed / (2 * rows)
