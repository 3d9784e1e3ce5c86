"""Local warps that change an expression and fold nothing.

A bump drags the skin around a centre c towards c + s and leaves everything farther than r untouched. The output at
x samples the input at

    u(x) = x - sum_i b(|x - c_i| / r_i) s_i,     b(t) = (1 - t^2)^2 for t < 1, else 0.

This is Gustafsson's local translation (Interactive Image Warping, 1993) with a polynomial fall-off. The slope of b is
at most 8 / (3 sqrt 3), so one bump stays one-to-one while |s| < 0.6495 r; where several overlap, `limit_shifts` keeps
det du/dx > 0.
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["bump_displacement", "jacobian_determinant", "limit_shifts", "warp_grid"]


def bump_displacement(points: Tensor, centers: Tensor, shifts: Tensor, radii: Tensor) -> Tensor:
    """Sum the bumps' shifts at the given points.

    Args:
        points: (B, ..., 2) face coordinates.
        centers: (B, N, 2) centres of the bumps, same coordinates.
        shifts: (B, N, 2) where each centre moves, relative to itself.
        radii: (B, N) reach of each bump, > 0.

    Returns:
        (B, ..., 2) displacement d; the warped image at x shows the image at x - d(x).
    """
    flat = points.flatten(1, -2)
    distance = torch.cdist(flat, centers, compute_mode="donot_use_mm_for_euclid_dist")
    falloff: Tensor = (1 - (distance / radii[:, None]).square()).clamp_(min=0).square_()
    total: Tensor = falloff @ shifts
    return total.view(points.shape)


def limit_shifts(centers: Tensor, shifts: Tensor, radii: Tensor, least: float = 0.2) -> Tensor:
    """Shorten the shifts of an image, all by one factor, just enough that its warp does not fold.

    With A = sum_i 4 (1 - t_i^2) / r_i^2 s_i (x - c_i)^T the map of shifts f * s has det du/dx = 1 + f tr A + f^2 det A.
    The factor is the largest f <= 1 up to which this stays at ``least`` or above at every point of a grid over the
    face, whose points are a fifth of the smallest radius apart; ``least`` covers what lies between them.

    Args:
        centers: (B, N, 2) centres.
        shifts: (B, N, 2) wanted shifts.
        radii: (B, N) radii; the work grows with the inverse square of the smallest.
        least: determinant to keep, in (0, 1).

    Returns:
        (B, N, 2) shifts of the same directions, none longer than before.
    """
    x, y, features = _grid_points(math.ceil(10 / float(radii.min())), centers.device)
    # 4 (1 - t^2) / r^2 is linear in x^2 + y^2, x, y and 1: one product gives it for all points and bumps.
    linear = torch.cat(
        [-torch.ones_like(radii[..., None]), 2 * centers, (radii**2 - centers.square().sum(-1))[..., None]], 2
    )
    slope = (features @ (linear * (4 / radii**4)[..., None]).mT).clamp_(min=0)
    moments = (shifts[..., :, None] * centers[..., None, :]).flatten(2)
    sx, sy, xx, xy, yx, yy = (slope @ torch.cat([shifts, moments], 2)).unbind(-1)
    a, b, c, d = sx * x - xx, sx * y - xy, sy * x - yx, sy * y - yy
    trace, determinant = a + d, a * d - b * c
    square = trace.square() - 4 * (1 - least) * determinant
    # The smallest positive root of det = least; a negative or missing one means that no factor reaches it.
    divisor = torch.where(square >= 0, square.clamp(min=0).sqrt() - trace, 0).amax(1)
    factor = torch.where(divisor > 0, 2 * (1 - least) / divisor, 1).clamp(max=1)
    return shifts * factor[:, None, None]


@functools.cache
def _grid_points(side: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """x, y (P,) and the features x^2 + y^2, x, y, 1 (P, 4) of ``side`` x ``side`` points over the face."""
    line = torch.linspace(-1, 1, side, device=device)
    x, y = torch.cartesian_prod(line, line).unbind(-1)
    return x, y, torch.stack([x**2 + y**2, x, y, torch.ones_like(x)], 1)


def warp_grid(grid: Tensor, centers: Tensor, shifts: Tensor, radii: Tensor, stride: int = 4) -> Tensor:
    """Bend a sampling grid by bumps, so that one resampling does both.

    The displacement is smooth, so it is evaluated on every ``stride``-th point and interpolated linearly. At 112 px a
    bump of radius 0.3 that shifts its centre by 10 px then differs from the exact one by at most 0.5 px (stride 4) or
    0.1 px (stride 2), in a fifth or a third of the time.

    Args:
        grid: (B, h, w, 2) face coordinates of an affine view.
        centers: (B, N, 2) centres.
        shifts: (B, N, 2) shifts, fold-free.
        radii: (B, N) radii.
        stride: 1 for the exact displacement at every pixel.

    Returns:
        (B, h, w, 2) coordinates to sample.
    """
    if stride == 1:
        return grid - bump_displacement(grid, centers, shifts, radii)
    height, width = grid.shape[1:3]
    coarse = _between_corners(grid, height // stride + 1, width // stride + 1)
    bent = bump_displacement(coarse, centers, shifts, radii).movedim(-1, 1)
    return grid - _resize(bent, height, width).movedim(1, -1)


def _between_corners(grid: Tensor, height: int, width: int) -> Tensor:
    """Lay (B, height, width, 2) points evenly over an affine grid, its corner points included."""
    corner, across, down = grid[:, :1, :1], grid[:, :1, -1:], grid[:, -1:, :1]
    u = torch.linspace(0, 1, width, device=grid.device)[:, None]
    v = torch.linspace(0, 1, height, device=grid.device)[:, None, None]
    return corner + u * (across - corner) + v * (down - corner)


def _resize(planes: Tensor, height: int, width: int) -> Tensor:
    """Interpolate (B, C, h, w) planes linearly to (B, C, height, width), corner to corner, as two small products."""
    down = _interpolation(height, planes.shape[-2]).to(planes)
    across = _interpolation(width, planes.shape[-1]).to(planes)
    return down @ planes @ across.T


@functools.cache
def _interpolation(wanted: int, given: int) -> Tensor:
    """(wanted, given) weights that interpolate linearly between ``given`` points, the ends included."""
    return F.interpolate(torch.eye(given)[None], size=wanted, mode="linear", align_corners=True)[0].T


def jacobian_determinant(grid: Tensor) -> Tensor:
    """Orientation and area change of a grid's cells; all of one sign when nothing folds.

    Args:
        grid: (B, h, w, 2) coordinates to sample.

    Returns:
        (B, h - 1, w - 1) determinant of the forward differences, in units of an identity grid's cell.
    """
    across = (grid[:, :-1, 1:] - grid[:, :-1, :-1]) * (grid.shape[2] / 2)
    down = (grid[:, 1:, :-1] - grid[:, :-1, :-1]) * (grid.shape[1] / 2)
    return across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]
