"""Local warps of any kind: displacements on a lattice, limited so that nothing folds, bent into a sampling grid.

A warp is a displacement field d: the output at x samples the input at u(x) = x - d(x). It is held on a lattice of
`SIDE` x `SIDE` points that spans `REACH` times the face in each direction, linear between its points and zero beyond.
On a cell of such a lattice det du/dx is linear in x and y, so that it is positive everywhere as soon as it is positive
at the four corners of every cell. `limit_folds` makes it so; with the identity outside, u is then one-to-one on the
whole plane, whatever kind of warp it was.

Coordinates are those of `ferkit.ops.grids`: the face spans -1 to 1.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 1.25
"""Half a lattice's side; beyond it a view shows no more than mirrored border."""

SIDE = 41
"""Points a side: 4 px of a 128 px crop from each to the next."""

_STRIDE = 4
"""Pixels of a view from one evaluation of the lattice to the next; linear between."""


@dataclass(frozen=True)
class Warp:
    """Fold-free warps of B faces: ``displacement`` (B, 2, `SIDE`, `SIDE`), x and y planes in face coordinates."""

    displacement: Tensor

    def rows(self, rows: slice | Tensor) -> Warp:
        """The warps of some of the faces."""
        return Warp(self.displacement[rows])

    def to(self, device: torch.device) -> Warp:
        """The same warps on ``device``."""
        return Warp(self.displacement.to(device, non_blocking=True))

    def scaled(self, factor: float) -> Warp:
        """The same warps at a share ``factor`` of their strength, in [0, 1]: still fold-free."""
        return Warp(self.displacement * factor)

    def at(self, points: Tensor) -> Tensor:
        """Read the displacement off.

        Args:
            points: (B, h, w, 2) face coordinates.

        Returns:
            (B, h, w, 2) displacement there, zero beyond the lattice.
        """
        displacement = F.grid_sample(self.displacement, points / REACH, padding_mode="zeros", align_corners=True)
        return displacement.movedim(1, -1)

    def bend(self, grid: Tensor, stride: int = _STRIDE) -> Tensor:
        """Bend a sampling grid, so that one resampling does both.

        Args:
            grid: (B, h, w, 2) face coordinates of affine views.
            stride: evaluate every so many pixels and interpolate linearly between; 1 evaluates at every pixel.

        Returns:
            (B, h, w, 2) coordinates to sample.
        """
        if stride == 1:
            return grid - self.at(grid)
        height, width = grid.shape[1:3]
        coarse = self.at(_between_corners(grid, height // stride + 1, width // stride + 1)).movedim(-1, 1)
        return grid - _resize(coarse, height, width).movedim(1, -1)


@functools.cache
def lattice(device: torch.device) -> Tensor:
    """(`SIDE`, `SIDE`, 2) face coordinates (x, y) of the lattice's points."""
    line = torch.linspace(-REACH, REACH, SIDE, device=device)
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y], -1)


@functools.cache
def fade_out(device: torch.device, start: float = 1.0) -> Tensor:
    """(`SIDE`, `SIDE`) smooth weights: 1 up to ``start`` from the middle, 0 at the lattice's border."""
    beyond = ((lattice(device).abs() - start) / (REACH - start)).clamp(min=0)
    return (1 - beyond.square()).square().prod(-1)


def limit_folds(displacement: Tensor, least: float = 0.2) -> Tensor:
    """Weaken each warp, as a whole, just enough that it does not fold.

    At strength f the map x - f d(x) has det = 1 - f tr D + f^2 det D, with D the derivative of d. The factor is the
    largest f <= 1 up to which this stays at ``least`` or above at the corners of all cells, and so everywhere; where
    the skin turns so much that it never falls so low, f <= 2 (1 - least) / tr D is kept all the same.

    Args:
        displacement: (B, 2, n, n) planes over [-`REACH`, `REACH`]^2.
        least: determinant to keep, in (0, 1); what exceeds zero covers the linear interpolation in a view.

    Returns:
        (B, 2, n, n) displacements of the same directions, none longer than before.
    """
    across, down = displacement.diff(dim=3), displacement.diff(dim=2)
    corners = [
        (x_edge, y_edge)
        for x_edge in (across[:, :, :-1], across[:, :, 1:])
        for y_edge in (down[..., :-1], down[..., 1:])
    ]
    step = 2 * REACH / (displacement.shape[-1] - 1)
    most = torch.stack([_largest_root(x_edge, y_edge, least) for x_edge, y_edge in corners]).amax(0)
    # The largest root belongs to the smallest factor: f = 2 (1 - least) / root, the differences being step * D.
    inverse = most / (2 * (1 - least) * step)
    return displacement / inverse.clamp(min=1)[:, None, None, None]


def _largest_root(across: Tensor, down: Tensor, least: float) -> Tensor:
    """(B,) max over the cells of tr D + sqrt(tr^2 D - 4 (1 - least) det D), a negative radicand taken as 0."""
    (a, c), (b, d) = across.unbind(1), down.unbind(1)
    trace = a + d
    radicand = trace.square().addcmul_(a, d, value=-4 * (1 - least)).addcmul_(b, c, value=4 * (1 - least))
    return radicand.clamp_(min=0).sqrt_().add_(trace).flatten(1).amax(1)


def _between_corners(grid: Tensor, height: int, width: int) -> Tensor:
    """Lay (B, height, width, 2) points evenly over an affine grid, its corner points included."""
    corner, across, down = grid[:, :1, :1], grid[:, :1, -1:], grid[:, -1:, :1]
    u = torch.linspace(0, 1, width, device=grid.device)[:, None]
    v = torch.linspace(0, 1, height, device=grid.device)[:, None, None]
    return corner + u * (across - corner) + v * (down - corner)


def _resize(planes: Tensor, height: int, width: int) -> Tensor:
    """Interpolate (B, C, h, w) planes linearly to (B, C, height, width), corner to corner, as two small products."""
    down = _interpolation(height, planes.shape[-2]).to(planes, non_blocking=True)
    across = _interpolation(width, planes.shape[-1]).to(planes, non_blocking=True)
    return down @ planes @ across.T


@functools.cache
def _interpolation(target: int, source: int) -> Tensor:
    """(target, source) weights that interpolate linearly between ``source`` points, the ends included."""
    return F.interpolate(torch.eye(source)[None], size=target, mode="linear", align_corners=True)[0].T
