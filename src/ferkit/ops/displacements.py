"""Local displacements: bumps and smooth noise; `ferkit.ops.warps` holds them on a lattice."""

import torch
from torch import Tensor


def bump_displacement(points: Tensor, centers: Tensor, shifts: Tensor, radii: Tensor) -> Tensor:
    """Sum local translations of the skin, each of which drags its centre c by s and leaves all beyond its radius r.

    d(x) = sum_i b(|x - c_i| / r_i) s_i, b(t) = (1 - t^2)^2 for t < 1, else 0: Gustafsson's local translation
    (Interactive Image Warping, 1993) with a polynomial fall-off. The slope of b is at most 8 / (3 sqrt 3), so that one
    bump stays one-to-one while |s| < 0.6495 r; Gustafsson's own folds for short drags, whose slope it gathers near the
    rim.

    Args:
        points: (B, ..., 2) face coordinates; B may be 1 for points that all faces share.
        centers: (B, N, 2) centres of the bumps, same coordinates.
        shifts: (B, N, 2) where each centre moves, relative to itself.
        radii: (B, N) reach of each bump, > 0.

    Returns:
        (B, ..., 2) displacement d; the warped image at x shows the image at x - d(x).
    """
    flat = points.flatten(1, -2).mT
    features = torch.cat([flat.square().sum(1, keepdim=True), flat, torch.ones_like(flat[:, :1])], 1)
    # 1 - t^2 is linear in x^2 + y^2, x, y and 1: one product gives it for all points and bumps.
    inside = radii.square() - centers.square().sum(-1)
    linear = torch.cat([-torch.ones_like(radii[..., None]), 2 * centers, inside[..., None]], 2)
    falloff = ((linear / radii.square()[..., None]) @ features).clamp_(min=0).square_()
    return (shifts.mT @ falloff).mT.reshape(-1, *points.shape[1:])


def smooth_noise(noise: Tensor, side: int, extent: float, sigma: Tensor) -> Tensor:
    """Smooth noise that lies on a square, by a Gaussian of each sample's own width, onto the points of a finer lattice.

    Elastic deformations use such fields (Simard et al., 2003).

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
