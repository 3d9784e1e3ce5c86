"""What pushes a face away from its own local warps.

ContraWarping's paper (arXiv:2303.09034) states that local warps of the same face are negatives, not by which formula.
These are ferkit's candidates. s is the cosine, p a prediction from one view, z+ the target of the other view, z-_k the
target of the face's k-th warp; targets get no gradient.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def warp_hinge_loss(prediction: Tensor, positive: Tensor, negatives: Tensor, margin: float) -> Tensor:
    """Ask that a face be closer to its other view than to its own local warps, by a margin.

    Args:
        prediction: (B, D) predictor outputs of one view, any norm.
        positive: (B, D) target projections of the other view.
        negatives: (K, B, D) target projections of K warps of the same faces.
        margin: m, in cosine units, >= 0.

    Returns:
        () mean over rows and warps of relu(m + s(p, z-) - s(p, z+)), in [0, m + 2].
    """
    near, far = _cosines(prediction, positive), _cosines(prediction, negatives)
    return F.relu(margin + far - near).mean()


def warp_repel_loss(prediction: Tensor, negatives: Tensor, threshold: float) -> Tensor:
    """Push a face's warps away while they are closer than a threshold, wherever its other view lies.

    Args:
        prediction: (B, D) predictor outputs of one view, any norm.
        negatives: (K, B, D) target projections of K warps of the same faces.
        threshold: c, a cosine in [-1, 1].

    Returns:
        () mean over rows and warps of relu(s(p, z-) - c), in [0, 1 - c].
    """
    return F.relu(_cosines(prediction, negatives) - threshold).mean()


def own_warps_nt_xent_loss(
    a: Tensor, b: Tensor, warps: Tensor, temperature: float, spared: Tensor | None = None
) -> Tensor:
    """NT-Xent (arXiv:2002.05709, eq. 1) in which only an anchor's own warps join its negatives.

    Unlike above, gradients reach all three: there is one network and no target.

    Args:
        a: (B, D) projections of one view of each face, any norm.
        b: (B, D) projections of the other view, same rows.
        warps: (K, B, D) projections of K warps of the same faces.
        temperature: > 0.
        spared: (2B, 2B) bool, which rows are no negatives of which, never their positive.

    Returns:
        () mean over the 2B anchors of -log softmax of their positive.
    """
    rows = len(a)
    views = F.normalize(torch.cat([a, b]).float(), dim=1)
    own = (views * F.normalize(warps.float(), dim=2).repeat(1, 2, 1)).sum(2).T
    with torch.autocast(views.device.type, enabled=False):  # over a small temperature, half precision costs too much
        others = (views @ views.T).fill_diagonal_(-torch.inf)
    if spared is not None:
        others = others.masked_fill(spared, -torch.inf)
    partner = torch.arange(2 * rows, device=a.device).roll(rows)
    return F.cross_entropy(torch.cat([others, own], 1) / temperature, partner)


def own_warps_info_nce_loss(anchor: Tensor, positive: Tensor, warps: Tensor, temperature: float) -> Tensor:
    """Pick the other view out among it and the face's own local warps; gradients reach all three.

    Args:
        anchor: (B, D) projections or predictions of one view of each face, any norm.
        positive: (B, D) projections of the other view.
        warps: (K, B, D) projections of K warps of the same faces.
        temperature: > 0.

    Returns:
        () mean over the B anchors of -log softmax of their positive.
    """
    candidates = torch.cat([positive[None], warps]).float()
    logits = F.cosine_similarity(anchor[None].float(), candidates, dim=-1).T / temperature
    return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64, device=logits.device))


def _cosines(prediction: Tensor, targets: Tensor) -> Tensor:
    """(B, D), (..., B, D) -> (..., B) cosines in float32, without gradient for the targets."""
    return F.cosine_similarity(prediction.float().expand_as(targets), targets.detach().float(), dim=-1)


@torch.no_grad()
def warp_gap(anchor: Tensor, positive: Tensor, warped: Tensor) -> Tensor:
    """How much nearer a face's other view is than its own warps: while this is 0, the warps teach nothing.

    Args:
        anchor: (B, D) of one view, any norm.
        positive: (B, D) of the other view.
        warped: (K, B, D) of K warps of the same faces.

    Returns:
        () mean cosine of anchor and positive, less that of anchor and warp, in [-2, 2].
    """
    return _cosines(anchor, positive).mean() - _cosines(anchor, warped).mean()
