"""A linear map that gives more weight to the directions in which classes differ."""

import torch
from torch import Tensor


def class_emphasis(features: Tensor, shares: Tensor, factor: float) -> Tensor:
    """Map that stretches the space spanned by the differences of class means and leaves what is at right angles to it.

    What remains keeps telling faces of a class apart; nothing is lost, and a linear classifier finds what it found.

    Args:
        features: (N, D).
        shares: (N, C) >= 0, how much each face shows each class; classes that no face shows do not count.
        factor: by which lengths within that space grow, >= 1.

    Returns:
        (D, D) float32 symmetric map with eigenvalues ``factor``, as often as there are independent differences (at most
        C - 1), and 1.
    """
    features, shares = features.double(), shares.double()[:, shares.sum(0) > 0]
    means = (shares.T @ features) / shares.sum(0)[:, None]
    values, directions = torch.linalg.svd(means - means.mean(0), full_matrices=False)[1:]
    space = directions[values > values.max() * 1e-6]
    stretch: Tensor = torch.eye(features.shape[1], dtype=torch.float64) + (factor - 1) * space.T @ space
    return stretch.float()
