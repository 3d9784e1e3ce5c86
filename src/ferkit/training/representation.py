"""What features look like from outside, without a label: alignment, uniformity, spread."""

import torch
from torch import Tensor
from torch.nn import functional as F


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
