"""Local displacements: bumps, thin-plate splines and smooth noise; `ferkit.ops.warps` holds them on a lattice."""

import numpy as np
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


def thin_plate_spline(points: Tensor, centers: Tensor, values: Tensor, smoothing: float = 0.0) -> Tensor:
    """Interpolate values in the plane with the least bending energy (Bookstein, 1989).

    f(x) = sum_i w_i U(|x - c_i|) + a_0 + a_1 x + a_2 y with U(rho) = rho^2 log rho; weights and affine part solve

        [[K + smoothing I, P], [P^T, 0]] [w; a] = [v; 0],     K_ij = U(|c_i - c_j|),  P_i = (1, x_i, y_i).

    Args:
        points: (B, ..., 2) where to evaluate; B may be 1 for points that all splines share.
        centers: (B, N, 2) control points, at least three of them not on one line.
        values: (B, N, D) what f is at them.
        smoothing: >= 0; 0 meets the values exactly, but then no two centres may coincide.

    Returns:
        (B, ..., D) values of f.
    """
    weights, affine = _solve(centers, values, smoothing)
    flat = points.flatten(1, -2)
    bent = weights.mT @ _kernel(centers, flat) + affine[:, 1:].mT @ flat.mT + affine[:, :1].mT
    return bent.mT.reshape(-1, *points.shape[1:-1], values.shape[-1])


def _solve(centers: Tensor, values: Tensor, smoothing: float) -> tuple[Tensor, Tensor]:
    """(B, N, D) weights and (B, 3, D) affine part."""
    # In double precision, for close centres would lose their values; on the CPU, for not every accelerator has it.
    places, heights = (tensor.detach().cpu().numpy().astype(np.float64) for tensor in (centers, values))
    batch, count = places.shape[:2]
    system = np.zeros((batch, count + 3, count + 3))
    square = np.square(places[:, :, None] - places[:, None]).sum(axis=-1).clip(min=np.finfo(np.float64).tiny)
    system[:, :count, :count] = square * np.log(square) / 2 + smoothing * np.eye(count)
    system[:, :count, count] = system[:, count, :count] = 1
    system[:, :count, count + 1 :] = places
    system[:, count + 1 :, :count] = places.transpose(0, 2, 1)
    wanted = np.concatenate([heights, np.zeros((batch, 3, heights.shape[-1]))], axis=1)
    exact = np.float64 if values.dtype == torch.float64 else np.float32
    solution = torch.from_numpy(np.linalg.solve(system, wanted).astype(exact)).to(values)
    return solution[:, :count], solution[:, count:]


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """(B, M, 2), (B, N, 2) -> (B, M, N) of rho^2 log rho, 0 at 0; B of the second may be 1."""
    products = a @ b.mT
    square = (a.square().sum(-1, keepdim=True) + b.square().sum(-1)[:, None]).sub_(products, alpha=2)
    square.clamp_(min=torch.finfo(square.dtype).tiny)
    return square.log().mul_(square).div_(2)


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
