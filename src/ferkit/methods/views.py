"""Views of faces: what is drawn at random, and the one resampling that applies it to a whole batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, TypeVar

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from torch import Tensor

from ferkit.methods.anchors import ANCHORS, MIRRORED, anchor_points
from ferkit.ops.blur import gaussian_blur
from ferkit.ops.colour import apply_colour, jitter_matrices, normalise_after
from ferkit.ops.grids import affine_matrices, sample, sampling_grid
from ferkit.ops.warps import limit_shifts, warp_grid

__all__ = ["ViewMaker", "ViewSettings", "Views", "Warp", "WarpSettings", "draw_warps", "to_float"]


Bounds = TypeVar("Bounds", tuple[float, float], tuple[int, int])


def _rising(bounds: Bounds) -> Bounds:
    if bounds[0] > bounds[1]:
        raise ValueError(f"the lower bound {bounds[0]:g} is above the upper one {bounds[1]:g}")
    return bounds


Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Anchors = Annotated[int, Field(ge=1, le=len(ANCHORS))]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_rising)]
Range = tuple[float, float]

_CPU_CHUNK = 16
"""Faces that are worked on at a time: few enough for their pixels to stay in a core's cache between the operations."""


class ViewSettings(BaseModel):
    """Global transforms: they change the picture and leave the expression as it is (ferkit defaults)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(112, ge=16, description="pixels a side of a view")
    scale: PositiveRange = Field((0.65, 1.0), description="side of the view as a share of the crop's side")
    aspect: PositiveRange = Field((0.9, 1.1), description="width over height of the area a view shows")
    rotation: float = Field(12.0, ge=0, le=180, description="largest turn either way, degrees")
    flip: float = Field(0.5, ge=0, le=1, description="chance of mirroring")
    jitter: float = Field(0.8, ge=0, le=1, description="chance of any colour jitter")
    brightness: float = Field(0.4, ge=0, lt=1, description="largest relative change")
    contrast: float = Field(0.4, ge=0, lt=1, description="largest relative change")
    saturation: float = Field(0.4, ge=0, le=1, description="largest relative change")
    hue: float = Field(0.1, ge=0, le=0.5, description="largest turn, in turns of the colour circle")
    gray: float = Field(0.2, ge=0, le=1, description="chance of dropping colour")
    blur: float = Field(0.5, ge=0, le=1, description="chance of a Gaussian blur")
    sigma: PositiveRange = Field((0.1, 1.5), description="blur's standard deviation, pixels of a 112 px view")
    mean: tuple[float, float, float] = Field((0.485, 0.456, 0.406), description="channel means of the encoder's input")
    std: tuple[float, float, float] = Field((0.229, 0.224, 0.225), description="channel deviations of the same")


class WarpSettings(BaseModel):
    """Local warps: they change the expression and little else (ferkit defaults; the paper states none)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bumps: Annotated[tuple[Anchors, Anchors], AfterValidator(_rising)] = Field(
        (2, 5), description="fewest and most places that a warp moves"
    )
    radius: PositiveRange = Field((0.2, 0.4), description="reach of a bump, as a share of the crop's half side")
    strength: Annotated[tuple[Share, Share], AfterValidator(_rising)] = Field(
        (0.25, 0.6), description="shift of a bump's centre, as a share of its radius"
    )
    spread: float = Field(0.06, ge=0, description="deviation of a centre about its anchor, share of the half side")
    symmetric: float = Field(0.5, ge=0, le=1, description="chance that left and right move alike")


@dataclass(frozen=True)
class Warp:
    """Fold-free bumps in face coordinates: (B, N, 2) centers, (B, N, 2) shifts, (B, N) radii."""

    centers: Tensor
    shifts: Tensor
    radii: Tensor

    def rows(self, rows: slice) -> Warp:
        """The warps of some of the faces."""
        return Warp(self.centers[rows], self.shifts[rows], self.radii[rows])


@dataclass(frozen=True)
class Views:
    """Two (B, 3, S, S) views of each face, and (K, B, 3, S, S) views of its local warps (K may be 0)."""

    a: Tensor
    b: Tensor
    warped: Tensor


def to_float(crops: Tensor) -> Tensor:
    """Turn (B, H, W, 3) uint8 crops into (B, 3, H, W) float in [0, 1]."""
    return crops.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format).div_(255)


def draw_warps(count: int, settings: WarpSettings, generator: torch.Generator) -> Warp:
    """Draw landmark-anchored warps for ``count`` faces.

    Every warp moves a random choice of distinct anchors, each in a random direction; a symmetric one moves their
    counterparts in the mirrored direction. Shifts are shortened where bumps crowd, so that nothing folds.

    Args:
        count: B.
        settings: ranges to draw from.
        generator: source of all randomness, on the CPU.

    Returns:
        A `Warp` of B faces with 2 * bumps[1] bumps each; unused ones do not shift.
    """
    fewest, most = settings.bumps
    points = anchor_points()
    mirror = torch.tensor(MIRRORED)
    chosen = torch.rand(count, len(points), generator=generator).argsort(1)[:, :most]
    centers = points[chosen] + settings.spread * torch.randn(count, most, 2, generator=generator)
    radii = _uniform((count, most), settings.radius, generator)
    angle = _uniform((count, most), (0, 2 * math.pi), generator)
    length = radii * _uniform((count, most), settings.strength, generator)
    used = torch.arange(most) < torch.randint(fewest, most + 1, (count, 1), generator=generator)
    shifts = torch.stack([angle.cos(), angle.sin()], -1) * (length * used)[..., None]
    both = _chance((count, 1), settings.symmetric, generator) & (mirror[chosen] != chosen)
    reflect = torch.tensor([-1.0, 1.0])
    centers = torch.cat([centers, centers * reflect], 1)
    shifts = torch.cat([shifts, shifts * reflect * both[..., None]], 1)
    radii = torch.cat([radii, radii], 1)
    return Warp(centers, limit_shifts(centers, shifts, radii), radii)


@dataclass(frozen=True)
class Transforms:
    """Global transforms of B views, as drawn: (B, 2, 3) affine maps, (B,) blur widths and (B,) colour factors."""

    affine: Tensor
    sigma: Tensor
    colour: dict[str, Tensor]

    def rows(self, rows: slice) -> Transforms:
        """The transforms of some of the views."""
        colour = {name: values[rows] for name, values in self.colour.items()}
        return Transforms(self.affine[rows], self.sigma[rows], colour)


class ViewMaker:
    """Draws and applies views; every random number comes from the generator that it is given."""

    def __init__(self, settings: ViewSettings) -> None:
        self.settings = settings

    def __call__(self, faces: Tensor, generator: torch.Generator, warp: Warp | None = None) -> Tensor:
        """Make one view of each face: crop, flip, turn, optional warp in one resampling, then colour and blur.

        Args:
            faces: (B, 3, H, W) float in [0, 1].
            generator: source of all randomness, on the CPU.
            warp: local warps in face coordinates; None for a positive.

        Returns:
            (B, 3, size, size) float, normalised by the settings' mean and std.
        """
        drawn = self._draw(len(faces), generator)
        if faces.device.type != "cpu":
            return self._apply(faces, drawn, warp)
        parts = [slice(start, start + _CPU_CHUNK) for start in range(0, len(faces), _CPU_CHUNK)]
        return torch.cat([self._apply(faces[rows], drawn.rows(rows), warp and warp.rows(rows)) for rows in parts])

    def _apply(self, faces: Tensor, drawn: Transforms, warp: Warp | None) -> Tensor:
        s, device = self.settings, faces.device
        grid = sampling_grid(drawn.affine.to(device), s.size)
        if warp is not None:
            grid = warp_grid(grid, warp.centers.to(device), warp.shifts.to(device), warp.radii.to(device))
        view = sample(faces, grid)
        factors = {name: values.to(device) for name, values in drawn.colour.items()}
        matrix, offset = jitter_matrices(**factors, mean=view.mean((2, 3)))
        matrix, offset = normalise_after(matrix, offset, view.new_tensor(s.mean), view.new_tensor(s.std))
        return gaussian_blur(apply_colour(view, matrix, offset), drawn.sigma.to(device))

    def _draw(self, count: int, generator: torch.Generator) -> Transforms:
        affine = self._draw_affine(count, generator)
        colour = self._draw_colour(count, generator)
        s = self.settings
        sigma = _uniform((count,), s.sigma, generator) * (s.size / 112) * _chance((count,), s.blur, generator)
        return Transforms(affine, sigma, colour)

    def _draw_affine(self, count: int, generator: torch.Generator) -> Tensor:
        s = self.settings
        scale = _uniform((count,), s.scale, generator)
        room = (1 - scale).clamp(min=0)[:, None]
        return affine_matrices(
            scale=scale,
            aspect=_uniform((count,), (math.log(s.aspect[0]), math.log(s.aspect[1])), generator).exp(),
            angle=_uniform((count,), (-math.radians(s.rotation), math.radians(s.rotation)), generator),
            shift=room * _uniform((count, 2), (-1, 1), generator),
            flip=_chance((count,), s.flip, generator),
        )

    def _draw_colour(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        s = self.settings
        active = _chance((count,), s.jitter, generator)

        def change(most: float) -> Tensor:
            return _uniform((count,), (-most, most), generator) * active

        return {
            "brightness": 1 + change(s.brightness),
            "contrast": 1 + change(s.contrast),
            "saturation": 1 + change(s.saturation),
            "hue": change(2 * math.pi * s.hue),
            "gray": _chance((count,), s.gray, generator),
        }


def _uniform(shape: tuple[int, ...], bounds: Range, generator: torch.Generator) -> Tensor:
    low, high = bounds
    return low + (high - low) * torch.rand(shape, generator=generator)


def _chance(shape: tuple[int, ...], probability: float, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator) < probability
