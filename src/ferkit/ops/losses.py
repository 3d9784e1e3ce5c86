"""Objectives of representation learning as functions of projections."""

import torch
import torch.nn.functional as F
from torch import Tensor


def regression_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Normalised squared error of BYOL (arXiv:2006.07733, eq. 2).

    Args:
        prediction: (B, D) predictor outputs, any norm.
        target: (B, D) target projections, same rows; no gradient flows here.

    Returns:
        () mean over rows of 2 - 2*cos, in [0, 4].
    """
    return (2 - 2 * F.cosine_similarity(prediction.float(), target.detach().float(), dim=1)).mean()


def relation_loss(vectors: Tensor, target: Tensor) -> Tensor:
    """Squared error of the cosines between all pairs of rows, as in similarity-preserving distillation (1907.09682).

    Args:
        vectors: (B, D), any norm.
        target: (B, T), same rows, any norm; no gradient flows here.

    Returns:
        () mean over the pairs of different rows, in [0, 4].
    """
    error = (cosine_matrix(vectors, vectors) - cosine_matrix(target, target).detach()).square()
    rows = len(error)
    return (error.sum() - error.diagonal().sum()) / (rows * (rows - 1))


def nt_xent_loss(
    a: Tensor, b: Tensor, temperature: float, negatives: Tensor | None = None, spared: Tensor | None = None
) -> Tensor:
    """Normalised temperature-scaled cross entropy of SimCLR (arXiv:2002.05709, eq. 1).

    Args:
        a: (B, D) projections of one view of each face, any norm.
        b: (B, D) projections of the other view, same rows.
        temperature: > 0.
        negatives: (M, D) projections that are nobody's positive and no anchors either, such as local warps; they join
            every anchor's negatives.
        spared: (2B, 2B) bool, which of the 2B rows are left out of which anchor's denominator, never its positive.

    Returns:
        () mean over the 2B anchors of -log softmax of their positive.
    """
    partner = torch.arange(2 * len(a), device=a.device).roll(len(a))
    return F.cross_entropy(contrast_logits(torch.cat([a, b]), temperature, negatives, spared), partner)


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
    logits, has_class = contrast_logits(anchors, temperature, negatives), label >= 0
    beyond = (0, logits.shape[1] - len(anchors))
    # What is left out stays in the matrix, without weight: to cut it out, a GPU would have to tell the host its size.
    logits = logits.masked_fill(F.pad(~has_class, beyond), -torch.inf)
    logits = logits.masked_fill(logits.isneginf().all(1, keepdim=True), 0)  # a softmax of nothing is no number
    positive = F.pad((label[:, None] == label) & has_class, beyond).fill_diagonal_(False)
    summed = torch.where(positive, logits.log_softmax(1), 0).sum(1)
    share = torch.where(has_class, weights[label.clamp(min=0)], 0) / positive.sum(1).clamp(min=1)
    return -(share * summed).sum() / has_class.sum().clamp(min=1)


def share_loss(logits: Tensor, shares: Tensor) -> Tensor:
    """Cross entropy against shares of classes, such as annotators' votes.

    Args:
        logits: (N, C).
        shares: (N, C) >= 0; rows need not sum to 1, a row of a smaller sum counts less, one of zeros not at all.

    Returns:
        () sum of -shares log softmax over all, divided by the sum of shares; 0 where that is 0.
    """
    total = -(shares * logits.float().log_softmax(1)).sum()
    return total / shares.sum().clamp(min=torch.finfo(torch.float32).eps)


def agreement_contrast_loss(anchors: Tensor, shares: Tensor, temperature: float) -> Tensor:
    """Pull faces together by how much their shares of classes agree: SupCon (arXiv:2004.11362) with soft positives.

    The loss of anchor i is -sum_j w_ij log softmax_j(z_i z_j / tau) with w_ij = s_i s_j / sum_k s_i s_k over the other
    anchors; shares of 0 and 1 give SupCon.

    Args:
        anchors: (N, D) projections of all views of all faces, any norm.
        shares: (N, C) >= 0, such as annotators' votes; a row of zeros has no positives and is left out.
        temperature: tau, > 0.

    Returns:
        () mean over the anchors that agree with any other, weighted by the sum of their shares.
    """
    logits = contrast_logits(anchors, temperature)
    agreement = (shares @ shares.T).fill_diagonal_(0)
    total = agreement.sum(1)
    eps = torch.finfo(torch.float32).eps
    log_softmax = logits.log_softmax(1).masked_fill(torch.eye(len(anchors), dtype=torch.bool, device=logits.device), 0)
    losses = -(agreement * log_softmax).sum(1) / total.clamp(min=eps)
    weights = shares.sum(1) * (total > 0)
    return (weights * losses).sum() / weights.sum().clamp(min=eps)


def concordance_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """What is missing to agreement by Lin's concordance correlation coefficient (Biometrics 45, 1989, p. 255).

    Args:
        predicted: (B, K), B at least 2.
        true: (B, K).

    Returns:
        () mean over the K dimensions of 1 - 2 cov / (var + var + squared difference of the means), in [0, 2]; moments
        are those of the batch, divided by B. A dimension without any spread or difference counts 1.
    """
    p, t = predicted.float(), true.float()
    apart = p.mean(0) - t.mean(0)
    p, t = p - p.mean(0), t - t.mean(0)
    spread = p.square().mean(0) + t.square().mean(0) + apart.square()
    return (1 - 2 * (p * t).mean(0) / spread.clamp(min=torch.finfo(torch.float32).tiny)).mean()


def power_divergence(logits: Tensor, label: Tensor, beta: float) -> Tensor:
    """Density power divergence of a softmax from the true class (Basu et al., Biometrika 85, 1998, eq. 2.1).

    With p the softmax and t the class, sum_j p_j^(1 + beta) - (1 + 1 / beta) p_t^beta + 1 / beta, which comes to the
    cross entropy -log p_t as beta falls to 0. A row that contradicts all others, p_t near 0, costs at most 1 + 1 / beta
    in place of any amount, and pulls less.

    Args:
        logits: (N, C); -inf for what cannot be chosen.
        label: (N,) int64 class numbers.
        beta: >= 0; 0 gives the cross entropy.

    Returns:
        () mean over the rows.
    """
    log_softmax = logits.float().log_softmax(1)
    log_true = log_softmax.gather(1, label[:, None])[:, 0]
    if beta == 0:
        return -log_true.mean()
    # 1 - p^beta over beta without the cancellation of small beta.
    all_classes = ((1 + beta) * log_softmax).exp().sum(1)
    return (all_classes - (beta * log_true).exp() - torch.expm1(beta * log_true) / beta).mean()


def normal_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback-Leibler divergence of a Gaussian from the standard normal (arXiv:1312.6114, appendix B).

    Args:
        mean: (N, D).
        log_variance: (N, D), of independent dimensions.

    Returns:
        () mean over rows and dimensions of (mean^2 + variance - 1 - log variance) / 2.
    """
    mean, log_variance = mean.float(), log_variance.float()
    return (mean.square() + torch.expm1(log_variance) - log_variance).mean() / 2


def orthogonality_loss(a: Tensor, b: Tensor) -> Tensor:
    """Squared cosine of two codes of the same face, 0 where they are at a right angle (after arXiv:2211.13490).

    Args:
        a: (N, D) one code, any norm.
        b: (N, D) the other, same rows.

    Returns:
        () mean over the rows, in [0, 1].
    """
    return F.cosine_similarity(a.float(), b.float(), dim=1).square().mean()


def variance_loss(projections: Tensor, least: float = 1.0) -> Tensor:
    """Hinge on each dimension's deviation over the batch (VICReg, arXiv:2105.04906, eq. 1).

    Args:
        projections: (N, D), N at least 2.
        least: deviation below which it costs, > 0.

    Returns:
        () mean over dimensions of relu(least - sqrt(variance + 1e-4)).
    """
    return F.relu(least - (projections.float().var(0) + 1e-4).sqrt()).mean()


def covariance_loss(projections: Tensor) -> Tensor:
    """Sum of squared covariances between dimensions over D (VICReg, arXiv:2105.04906, eq. 3 and 4).

    Args:
        projections: (N, D), N at least 2.
    """
    centred = projections.float() - projections.float().mean(0)
    with torch.autocast(projections.device.type, enabled=False):
        covariance = centred.T @ centred / (len(centred) - 1)
    # The diagonal goes before the sum: what is left is far smaller, and would drown in the rounding of both.
    return (covariance - covariance.diagonal().diag()).square().sum() / projections.shape[1]


def alignment(a: Tensor, b: Tensor) -> Tensor:
    """How far apart two views of the same face lie (Wang & Isola, arXiv:2005.10242, eq. 5 with alpha = 2).

    Args:
        a: (B, D) features, any norm.
        b: (B, D) of the other views, same rows.

    Returns:
        () mean squared distance on the unit sphere, in [0, 4]; lower is better.
    """
    return (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1).mean()


def uniformity(x: Tensor) -> Tensor:
    """How evenly features cover the unit sphere (Wang & Isola, arXiv:2005.10242, eq. 6 with t = 2).

    Args:
        x: (B, D) features, any norm, B at least 2.

    Returns:
        () logarithm of the mean Gaussian potential of all pairs, in [-8, 0]; lower is more even, 0 is one point.
    """
    return torch.pdist(F.normalize(x, dim=1)).square().mul(-2).exp().mean().log()


def spread(x: Tensor) -> Tensor:
    """How far normalised features scatter: their standard deviation times sqrt(D) (as arXiv:2011.10566, figure 2).

    Args:
        x: (B, D) features, any norm.

    Returns:
        () in [0, 1]; 1 where they point everywhere alike, 0 where all are the same.
    """
    return F.normalize(x, dim=1).var(dim=0, correction=0).sum().sqrt()


def contrast_logits(
    anchors: Tensor, temperature: float, negatives: Tensor | None = None, spared: Tensor | None = None
) -> Tensor:
    """What a softmax chooses each anchor's partner by.

    Args:
        anchors: (N, D) projections, any norm.
        temperature: > 0.
        negatives: (M, D) projections that are no anchors.
        spared: (N, N) bool, which anchors are left out of which one's denominator.

    Returns:
        (N, N + M) cosines over the temperature; -inf for an anchor itself and for what is spared.
    """
    others = anchors if negatives is None else torch.cat([anchors, negatives])
    logits = (cosine_matrix(anchors, others) / temperature).fill_diagonal_(-torch.inf)
    if spared is not None:
        logits = logits.masked_fill(F.pad(spared, (0, len(others) - len(anchors))), -torch.inf)
    return logits


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
