"""Thin-plate splines: the smoothest displacement that takes given values at given points (Bookstein, 1989)."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["thin_plate_spline"]


def thin_plate_spline(points: Tensor, centers: Tensor, values: Tensor, smoothing: float = 0.0) -> Tensor:
    """Interpolate values in the plane with the least bending energy.

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
    batch, count = centers.shape[:2]
    places = centers.double()  # in single precision close centres would lose their values
    kernel = _kernel(places, places) + smoothing * torch.eye(count, device=centers.device)
    plane = torch.cat([torch.ones_like(places[..., :1]), places], 2)
    below = torch.cat([plane.mT, plane.new_zeros(batch, 3, 3)], 2)
    system = torch.cat([torch.cat([kernel, plane], 2), below], 1)
    wanted = torch.cat([values.double(), values.new_zeros(batch, 3, values.shape[-1])], 1)
    # Not checked for being singular, because the check waits for an accelerator; with smoothing it never is.
    solution = torch.linalg.solve_ex(system, wanted).result.to(values)
    return solution[:, :count], solution[:, count:]


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """(B, M, 2), (B, N, 2) -> (B, M, N) of rho^2 log rho, 0 at 0; B of the second may be 1."""
    products = a @ b.mT
    square = (a.square().sum(-1, keepdim=True) + b.square().sum(-1)[:, None]).sub_(products, alpha=2)
    square.clamp_(min=torch.finfo(square.dtype).tiny)
    return square.log().mul_(square).div_(2)
