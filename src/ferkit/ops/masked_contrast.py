"""MaskFN: what among a face's negatives shows the same expression, and NT-Xent that does not push it away.

SSL-FER (Shu et al., BMVC 2022, arXiv:2210.03853) describes each face by a fixed network's features of its eyes and its
mouth. The one negative whose description is nearest counts as a false negative: it leaves the denominator, and a second
term pulls it. The batch is [anchors, hard-negative anchors] with their positives, in the same order: a hard negative is
an anchor too. All 4 B of them are rows of one NT-Xent, `ferkit.ops.losses.nt_xent_loss` where nothing is masked.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ferkit.ops.colour import LUMA
from ferkit.ops.grids import sample, sampling_grid
from ferkit.ops.losses import contrast_logits, cosine_matrix


def box_around(points: Tensor, margin: float) -> Tensor:
    """Enclose points, such as those of both eyes, or of the mouth.

    Args:
        points: (..., K, 2) face coordinates: x and y in [-1, 1], -1 and 1 at the crop's outer edges.
        margin: added on each side, in face coordinates.

    Returns:
        (..., 4) left, top, right, bottom.
    """
    return torch.cat([points.amin(-2) - margin, points.amax(-2) + margin], -1)


def cut_patches(faces: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Cut the same P patches out of each face, stretched to squares.

    Args:
        faces: (B, 3, H, W) float.
        boxes: (B, P, 4) left, top, right, bottom in face coordinates.
        size: pixels a side of a patch.

    Returns:
        (B, P, 3, size, size) float; what lies beyond a crop shows its mirror image.
    """
    low, high = boxes[..., :2].flatten(0, 1), boxes[..., 2:].flatten(0, 1)
    to_face = torch.cat([torch.diag_embed((high - low) / 2), (low + high)[:, :, None] / 2], 2)
    faces = faces.repeat_interleave(boxes.shape[1], 0)
    return sample(faces, sampling_grid(to_face, size)).view(*boxes.shape[:2], -1, size, size)


def legible(patches: Tensor, least: float = 0.02) -> Tensor:
    """Tell the faces whose patches all show something: black or flat ones would find each other most similar.

    Args:
        patches: (B, P, 3, s, s) RGB in [0, 1].
        least: standard deviation of the gray that a patch must have (ferkit default).

    Returns:
        (B,) bool.
    """
    gray = patches.movedim(2, -1) @ patches.new_tensor(LUMA)
    return torch.all(gray.flatten(2).std(2) >= least, dim=1)


@torch.no_grad()
def false_negatives(descriptors: Tensor, group: Tensor, valid: Tensor) -> Tensor:
    """Find for each row the one of its negatives that is most similar.

    Args:
        descriptors: (R, D) finite features of eyes and mouth of all rows, any norm.
        group: (R,) int64; rows that share a number never choose each other. It is the same for an anchor, its hard
            negative and the positives of both; the number of the clip also keeps out other anchors of the same clip.
        valid: (R,) bool, whose patches show a face, see `legible`; other rows neither choose nor are chosen.

    Returns:
        (R,) int64 rows; -1 where there is none to choose.
    """
    candidate = (group[:, None] != group) & valid[:, None] & valid
    nearest = cosine_matrix(descriptors, descriptors).masked_fill(~candidate, -torch.inf).argmax(1)
    return torch.where(candidate.any(1), nearest, -1)


def masked_nt_xent_losses(
    a: Tensor,
    b: Tensor,
    false_negative: Tensor,
    temperature: float,
    negatives: Tensor | None = None,
    spared: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """NT-Xent without each row's false negative, and NT-Xent that takes it for the positive: SSL-FER's L1 and L2.

    With s_ij = cos(z_i, z_j) / tau, p the partner of i, f its false negative and N all its other negatives,
    L1 = -log(e^s_ip / (e^s_ip + sum_N e^s_in)) and L2 = -log(e^s_if / (e^s_if + sum_N e^s_in)): neither pushes the
    other's positive away. The objective of the paper is L1 + 0.8 L2.

    Args:
        a: (N, D) projections of the anchors, the hard-negative ones included, any norm.
        b: (N, D) projections of their positives, same rows.
        false_negative: (2N,) int64 rows of [a, b], see `false_negatives`; -1 for none. Never the row or its partner.
        temperature: tau, > 0.
        negatives: (M, D) projections that are nobody's positive and no anchors either, such as local warps; they join
            every anchor's negatives.
        spared: (2N, 2N) bool, which rows are no negatives of which, beside the false ones; never partners.

    Returns:
        () L1 and () L2, means over the 2N rows; one without false negative has the plain L1 and counts 0 in L2.
    """
    row = torch.arange(2 * len(a), device=a.device)
    partner, has_false = row.roll(len(a)), false_negative >= 0
    pulled = torch.where(has_false, false_negative, partner)
    spared = None if spared is None else spared.scatter(1, pulled[:, None], False)
    logits = contrast_logits(torch.cat([a, b]), temperature, negatives, spared)
    column = torch.arange(logits.shape[1], device=a.device)
    # A logit of 0 instead would be a negative at a right angle.
    without_false = logits.masked_fill(column == false_negative[:, None], -torch.inf)
    without_both = without_false.masked_fill(column == partner[:, None], -torch.inf)
    second = torch.cat([logits.gather(1, pulled[:, None]), without_both], 1)
    pull = F.cross_entropy(second, torch.zeros_like(row), reduction="none")
    return F.cross_entropy(without_false, partner), torch.where(has_false, pull, 0).mean()
