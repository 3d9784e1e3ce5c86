"""Objectives of representation learning as functions of projections."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = [
    "class_loss",
    "cosine_matrix",
    "info_nce_loss",
    "nt_xent_loss",
    "regression_loss",
    "supervised_contrastive_loss",
]


def regression_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Normalised squared error of BYOL (arXiv:2006.07733, eq. 2).

    Args:
        prediction: (B, D) predictor outputs, any norm.
        target: (B, D) target projections, same rows; no gradient flows here.

    Returns:
        () mean over rows of 2 - 2*cos, in [0, 4].
    """
    return (2 - 2 * F.cosine_similarity(prediction.float(), target.detach().float(), dim=1)).mean()


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
    anchors = torch.cat([a, b])
    others = anchors if negatives is None else torch.cat([anchors, negatives])
    logits = cosine_matrix(anchors, others) / temperature
    logits.fill_diagonal_(-torch.inf)
    rows = len(a)
    partner = torch.arange(2 * rows, device=a.device).roll(rows)
    return F.cross_entropy(logits, partner)


def info_nce_loss(query: Tensor, key: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Find a query's own key among the keys of earlier faces: InfoNCE of MoCo (arXiv:1911.05722, eq. 1).

    Args:
        query: (B, D) projections of one view of each face, any norm.
        key: (B, D) momentum projections of the other view, same rows; no gradient flows here.
        queue: (K, D) momentum projections of other faces; no gradient flows here.
        temperature: > 0.

    Returns:
        () mean over the B queries of -log softmax of their key.
    """
    own = F.cosine_similarity(query.float(), key.detach().float(), dim=1)
    logits = torch.cat([own[:, None], cosine_matrix(query, queue.detach())], 1) / temperature
    return F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.int64, device=query.device))


def class_loss(logits: Tensor, label: Tensor, smoothing: float = 0.0, counts: Tensor | None = None) -> Tensor:
    """Cross entropy over the rows whose class is known, or balanced softmax (arXiv:2007.10740, theorem 1).

    Args:
        logits: (B, C).
        label: (B,) int64 class numbers, -1 where unknown.
        smoothing: share of the target that is spread evenly over all classes, in [0, 1].
        counts: (C,) training faces of each class, which turn the softmax into a balanced one: the logits then are
            those of a world where all classes are as frequent. None trusts the training faces' frequencies.

    Returns:
        () mean over the known rows, 0 if there are none.
    """
    if counts is not None:
        logits = logits.float() + counts.float().clamp(min=1).log()
    total = F.cross_entropy(logits, label, ignore_index=-1, label_smoothing=smoothing, reduction="sum")
    return total / (label >= 0).sum().clamp(min=1)


def supervised_contrastive_loss(
    anchors: Tensor, label: Tensor, weights: Tensor, temperature: float, negatives: Tensor | None = None
) -> Tensor:
    """Pull together what shares a class: SupCon (arXiv:2004.11362, eq. 2) with CRS-CONT's weight for each class.

    The loss of anchor i is -(w_{y_i} / |P(i)|) sum_{p in P(i)} log(e^{z_i z_p / tau} / sum_{a != i} e^{z_i z_a / tau}),
    where P(i) holds the other anchors of its class.

    Args:
        anchors: (N, D) projections of all views of all faces, any norm.
        label: (N,) int64 class numbers, -1 where unknown: such a row may be of any anchor's class, so it is neither
            anchor nor positive nor negative.
        weights: (C,) w of each class, >= 0.
        temperature: tau, > 0.
        negatives: (M, D) projections that are nobody's positive and no anchors either, such as local warps; they join
            every anchor's denominator.

    Returns:
        () mean over the anchors of known class; one that is alone in its class counts 0.
    """
    others = anchors if negatives is None else torch.cat([anchors, negatives])
    beyond = (0, len(others) - len(anchors))
    known = label >= 0
    logits = cosine_matrix(anchors, others) / temperature
    # What is left out stays in the matrix, without weight: to cut it out, a GPU would have to tell the host its size.
    logits = logits.masked_fill(F.pad(~known, beyond), -torch.inf).fill_diagonal_(-torch.inf)
    logits = logits.masked_fill(logits.isneginf().all(1, keepdim=True), 0)  # a softmax of nothing is no number
    positive = F.pad((label[:, None] == label) & known, beyond).fill_diagonal_(False)
    summed = torch.where(positive, logits.log_softmax(1), 0).sum(1)
    share = torch.where(known, weights[label.clamp(min=0)], 0) / positive.sum(1).clamp(min=1)
    return -(share * summed).sum() / known.sum().clamp(min=1)


def cosine_matrix(a: Tensor, b: Tensor) -> Tensor:
    """Cosines of all pairs, in float32 under any autocast: over a small temperature, half precision costs too much.

    Args:
        a: (A, D), any norm.
        b: (B, D), any norm.

    Returns:
        (A, B) in [-1, 1].
    """
    with torch.autocast(a.device.type, enabled=False):
        return F.normalize(a.float(), dim=1) @ F.normalize(b.float(), dim=1).T
