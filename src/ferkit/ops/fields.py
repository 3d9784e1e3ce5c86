"""Smooth random fields: white noise behind a Gaussian, as elastic deformations use them (Simard et al., 2003)."""

import torch
from torch import Tensor


def smooth_noise(noise: Tensor, side: int, extent: float, sigma: Tensor) -> Tensor:
    """Smooth noise that lies on a square, by a Gaussian of each sample's own width, onto the points of a finer lattice.

    Args:
        noise: (B, C, n, n) white noise on n x n points that span the square, borders included.
        side: points a side of the lattice over the same square.
        extent: side of the square.
        sigma: (B,) standard deviation of the Gaussian in the units of ``extent``, not below the noise's spacing / 2.

    Returns:
        (B, C, side, side) smooth field, of variance near 1 for white noise of variance 1.
    """
    fine, coarse = (torch.linspace(0, extent, n, device=noise.device) for n in (side, noise.shape[-1]))
    weights = torch.exp(-(((fine[:, None] - coarse) / sigma[:, None, None]) ** 2) / 2)
    weights = (weights / weights.norm(dim=2, keepdim=True))[:, None]
    field: Tensor = weights @ noise @ weights.mT
    return field
