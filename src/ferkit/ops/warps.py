"""Local warps that change an expression and fold nothing.

A bump drags the skin around a centre c towards c + s and leaves everything farther than r untouched. The output at
x samples the input at

    u(x) = x - sum_i b(|x - c_i| / r_i) s_i,     b(t) = (1 - t^2)^2 for t < 1, else 0.

This is Gustafsson's local translation (Interactive Image Warping, 1993) with a polynomial fall-off. The slope of b is
at most 8 / (3 sqrt 3), so one bump stays one-to-one while |s| < 0.6495 r; where several overlap, their slopes add up,
and `limit_shifts` keeps the sum below one, so that det du/dx > 0 everywhere.
"""

from __future__ import annotations

import functools
import math

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["MAX_SLOPE", "bump_displacement", "jacobian_determinant", "limit_shifts", "warp_grid"]

MAX_SLOPE = 8 / (3 * math.sqrt(3))
"""Largest slope of b(t) = (1 - t^2)^2, at t = 1 / sqrt 3."""


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


def limit_shifts(centers: Tensor, shifts: Tensor, radii: Tensor, limit: float = 0.9) -> Tensor:
    """Shorten shifts just enough that no warp folds, however the bumps overlap.

    At any point the bumps that reach it all overlap one another, so it is enough that for every bump i the slopes of
    itself and all its neighbours sum to at most ``limit`` < 1.

    Args:
        centers: (B, N, 2) centres.
        shifts: (B, N, 2) wanted shifts.
        radii: (B, N) radii.
        limit: bound on the summed slope, in (0, 1).

    Returns:
        (B, N, 2) shifts of the same directions, none longer than before.
    """
    slopes = MAX_SLOPE * shifts.norm(dim=-1) / radii
    overlap = torch.cdist(centers, centers) < radii[:, :, None] + radii[:, None, :]
    crowding = (overlap * slopes[:, None, :]).sum(-1)
    factor = (limit / crowding.clamp(min=limit))[:, None, :].expand_as(overlap)
    least: Tensor = factor.masked_fill(~overlap, 1.0).amin(-1)
    return shifts * least[..., None]


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
