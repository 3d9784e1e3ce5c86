"""Objectives of representation learning as functions of projections."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["nt_xent_loss", "regression_loss", "warp_hinge_loss"]


def regression_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Normalised squared error of BYOL (arXiv:2006.07733, eq. 2).

    Args:
        prediction: (B, D) predictor outputs, any norm.
        target: (B, D) target projections, same rows; no gradient flows here.

    Returns:
        () mean over rows of 2 - 2*cos, in [0, 4].
    """
    return (2 - 2 * F.cosine_similarity(prediction, target.detach(), dim=1)).mean()


def warp_hinge_loss(prediction: Tensor, positive: Tensor, negatives: Tensor, margin: float) -> Tensor:
    """Ask that a face be closer to its other view than to its own local warps, by a margin.

    The form of ContraWarping's negative term is not published (arXiv:2303.09034 states only that local warps of the
    same face are negatives); this one is a ferkit default: mean over rows and warps of relu(m + s(p, z-) - s(p, z+)).

    Args:
        prediction: (B, D) predictor outputs of one view, any norm.
        positive: (B, D) target projections of the other view; no gradient flows here.
        negatives: (K, B, D) target projections of K warps of the same faces; no gradient flows here.
        margin: m, in cosine units, >= 0.

    Returns:
        () loss in [0, m + 2].
    """
    near = F.cosine_similarity(prediction, positive.detach(), dim=-1)
    far = F.cosine_similarity(prediction[None], negatives.detach(), dim=-1)
    return F.relu(margin + far - near).mean()


def nt_xent_loss(a: Tensor, b: Tensor, temperature: float, negatives: Tensor | None = None) -> Tensor:
    """Normalised temperature-scaled cross entropy of SimCLR (arXiv:2002.05709, eq. 1).

    Args:
        a: (B, D) projections of one view of each face, any norm.
        b: (B, D) projections of the other view, same rows.
        temperature: > 0.
        negatives: (M, D) projections that are nobody's positive and no anchors either, such as local warps; they join
            every anchor's negatives.

    Returns:
        () mean over the 2B anchors of -log softmax of their positive.
    """
    anchors = F.normalize(torch.cat([a, b]), dim=1)
    others = anchors if negatives is None else torch.cat([anchors, F.normalize(negatives, dim=1)])
    logits = anchors @ others.T / temperature
    logits.fill_diagonal_(-torch.inf)
    rows = len(a)
    partner = torch.arange(2 * rows, device=a.device).roll(rows)
    return F.cross_entropy(logits, partner)
