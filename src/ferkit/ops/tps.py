"""Thin-plate splines."""

import numpy as np
import torch
from torch import Tensor


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
    right_side = np.concatenate([heights, np.zeros((batch, 3, heights.shape[-1]))], axis=1)
    exact = np.float64 if values.dtype == torch.float64 else np.float32
    solution = torch.from_numpy(np.linalg.solve(system, right_side).astype(exact)).to(values)
    return solution[:, :count], solution[:, count:]


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    """(B, M, 2), (B, N, 2) -> (B, M, N) of rho^2 log rho, 0 at 0; B of the second may be 1."""
    products = a @ b.mT
    square = (a.square().sum(-1, keepdim=True) + b.square().sum(-1)[:, None]).sub_(products, alpha=2)
    square.clamp_(min=torch.finfo(square.dtype).tiny)
    return square.log().mul_(square).div_(2)
