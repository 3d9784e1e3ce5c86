"""Local warps as pre-training draws them: of three kinds, at places that the settings choose."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from torch import Tensor

from ferkit.methods.anchors import ANCHORS, MIRRORED, ON_THE_RIGHT, anchor_points, carry_anchors
from ferkit.methods.random_ranges import ShareRange, chance, rising, uniform
from ferkit.ops.displacements import bump_displacement, smooth_noise
from ferkit.ops.tps import thin_plate_spline
from ferkit.ops.warps import REACH, SIDE, Warp, fade_out, lattice, limit_folds

Kind = Literal["bumps", "tps", "field"]
Placement = Literal["landmarks", "template", "uniform"]
Anchors = Annotated[int, Field(ge=1, le=len(ANCHORS))]
Reach = Annotated[float, Field(ge=0.1)]  # below, a bump would fall between the lattice's points

_INNER_FACE = 0.6
"""Half side of the square where uniform placement puts its centres."""

_NOISE_SIDE = 21
"""Points a side of the noise behind a field: one for every second of the lattice."""

_FRAME = torch.tensor(
    [(x, y) for x in (-1.0, 1.0) for y in (-1.0, 1.0)]
    + [(0.8 * math.cos(angle), 0.95 * math.sin(angle)) for angle in (n * math.pi / 4 for n in range(8))]
)
"""(12, 2) points that a spline never moves: the corners, and around the face's outline."""

_FIELD_FADES = 0.5
"""Where a field begins to fade, so that it moves the face rather than what surrounds it."""

_SMOOTHING = 1e-6
"""Lets a spline through two centres that chance put on one place; others it misses by less than 1e-4."""

_ACROSS, _UPWARD = torch.tensor([-1.0, 1.0]), torch.tensor([0.0, 1.0])
"""Reflection left to right, and projection onto the middle line, of (x, y)."""


def _several(kinds: object) -> object:
    return (kinds,) if isinstance(kinds, str) else kinds


class WarpSettings(BaseModel):
    """Local warps: they change the expression and little else (ferkit defaults; the paper states none)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Annotated[tuple[Kind, ...], BeforeValidator(_several), Field(min_length=1)] = Field(
        ("bumps",), description="bumps, tps or field; of several, each face draws one"
    )
    placement: Placement = Field(
        "landmarks", description="bumps, tps: anchors on the face's own landmarks, on the template's, or anywhere"
    )
    bumps: Annotated[tuple[Anchors, Anchors], AfterValidator(rising)] = Field(
        (2, 5), description="bumps, tps: fewest and most places that a warp moves"
    )
    radius: Annotated[tuple[Reach, Reach], AfterValidator(rising)] = Field(
        (0.2, 0.4), description="reach of a bump, grain of a field, as a share of the crop's half side"
    )
    strength: ShareRange = Field((0.25, 0.6), description="largest shift, as a share of the radius")
    spread: float = Field(0.06, ge=0, description="deviation of a centre about its anchor, share of the half side")
    symmetric: float = Field(0.5, ge=0, le=1, description="chance that left and right move alike")


class _Drags(NamedTuple):
    """(B, M, 2) places on the faces and shifts, (B, M) radii and whether a place moves, (B,) whether symmetric."""

    centers: Tensor
    shifts: Tensor
    radii: Tensor
    moving: Tensor
    symmetric: Tensor

    def rows(self, rows: Tensor, device: torch.device, moved: Tensor | None) -> _Drags:
        """Those of some faces, on ``device``; their places ``moved``, all faces' (B, M, 2) there, where given."""
        centers, *rest = (part[rows].to(device, non_blocking=True) for part in self)
        if moved is not None:
            centers = centers + moved[rows.to(device, non_blocking=True)]
        return _Drags(centers, *rest)


def draw_warps(
    count: int,
    settings: WarpSettings,
    generator: torch.Generator,
    landmarks: Tensor | None = None,
    device: torch.device | None = None,
) -> Warp:
    """Draw fold-free warps for ``count`` faces.

    Bumps and splines move a random choice of places, each in a random direction; a symmetric warp moves their
    counterparts in the mirrored direction. Splines hold the other places where they are.

    Args:
        count: B.
        settings: kinds, placement and ranges to draw from.
        generator: source of all randomness, on the CPU.
        landmarks: (B, 5, 2) pixels of the crop, for the placement of that name; the template's points when None.
        device: where the warps are computed; the CPU when None.
    """
    device = device or torch.device("cpu")
    drags = _draw_drags(count, settings, generator)
    kinds = torch.randint(len(settings.kind), (count,), generator=generator)
    moved = None  # by how much the face's own anchors lie off the template's
    if settings.placement == "landmarks" and landmarks is not None:
        points = landmarks.to(device, non_blocking=True)
        moved = carry_anchors(points) - anchor_points().to(device, non_blocking=True)
    displacement = torch.zeros(count, 2, SIDE, SIDE, device=device)
    for number, kind in enumerate(settings.kind):
        rows = (kinds == number).nonzero().squeeze(1)
        if len(rows):
            displacement[rows.to(device, non_blocking=True)] = KINDS[kind](drags.rows(rows, device, moved), generator)
    return Warp(limit_folds(displacement))


def _draw_drags(count: int, settings: WarpSettings, generator: torch.Generator) -> _Drags:
    places, mirrored, right = _places(count, settings, generator)
    size = places.shape[:2]
    itself = torch.arange(size[1])
    symmetric = chance((count, 1), settings.symmetric, generator)
    # On the right of a symmetric warp everything repeats what is drawn for the left, as in a mirror; what has no
    # counterpart stays on the middle line and moves up or down.
    copied, upright = symmetric & right, (symmetric & (mirrored == itself))[..., None]
    row, source = torch.arange(count)[:, None], torch.where(copied, mirrored, itself)
    mirror = torch.where(copied[..., None], _ACROSS, torch.ones(2))
    angle = uniform(size, (0, 2 * math.pi), generator)
    direction = torch.stack([angle.cos(), angle.sin()], -1)
    direction = torch.where(upright, direction.sign() * _UPWARD, direction)
    spread = torch.randn(*size, 2, generator=generator) * torch.where(
        upright, settings.spread * _UPWARD, settings.spread
    )
    radii = uniform(size, settings.radius, generator)[row, source]
    length = radii * uniform(size, settings.strength, generator)[row, source]
    return _Drags(
        centers=places + mirror * spread[row, source],
        shifts=mirror * direction[row, source] * length[..., None],
        radii=radii,
        moving=_choose(settings.bumps, copied, generator)[row, source],
        symmetric=symmetric[:, 0],
    )


def _choose(number: tuple[int, int], spare: Tensor, generator: torch.Generator) -> Tensor:
    """(B, M) bool: as many places as drawn between two bounds, none of them ``spare`` (B, M)."""
    count = torch.randint(number[0], number[1] + 1, (len(spare), 1), generator=generator)
    rank = (torch.rand(spare.shape, generator=generator) + spare).argsort(1).argsort(1)
    return (rank < count) & ~spare


def _places(count: int, settings: WarpSettings, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """(B, M, 2) places to choose from; (M,) the index of each one's counterpart, and whether it is the right one."""
    if settings.placement == "uniform":
        pairs = settings.bumps[1]
        some = uniform((count, pairs, 2), (-_INNER_FACE, _INNER_FACE), generator)
        index = torch.arange(2 * pairs)
        return torch.cat([some, some * _ACROSS], 1), index.roll(pairs), index >= pairs
    anchors = anchor_points().expand(count, -1, -1)
    return anchors, torch.tensor(MIRRORED), torch.tensor(ON_THE_RIGHT)


def _bumps(drags: _Drags, generator: torch.Generator) -> Tensor:
    """(B, 2, SIDE, SIDE) displacement by bumps."""
    points = lattice(drags.centers.device)
    moved = bump_displacement(points[None], drags.centers, drags.shifts * drags.moving[..., None], drags.radii)
    return moved.movedim(-1, 1) * fade_out(points.device)


def _spline(drags: _Drags, generator: torch.Generator) -> Tensor:
    """(B, 2, SIDE, SIDE) displacement by the thin-plate spline that holds the places at rest and the face's frame."""
    points = lattice(drags.centers.device)
    frame = _FRAME.to(points.device, non_blocking=True).expand(len(drags.centers), -1, -1)
    moved = thin_plate_spline(
        points[None],
        torch.cat([drags.centers, frame], 1),
        torch.cat([drags.shifts * drags.moving[..., None], torch.zeros_like(frame)], 1),
        smoothing=_SMOOTHING,
    )
    return moved.movedim(-1, 1) * fade_out(points.device)


def _field(drags: _Drags, generator: torch.Generator) -> Tensor:
    """(B, 2, SIDE, SIDE) random smooth displacement over the face, as strong at its strongest as the first shift."""
    device = drags.centers.device
    noise = torch.randn(len(drags.centers), 2, _NOISE_SIDE, _NOISE_SIDE, generator=generator)
    mirrored = noise.flip(3) * _ACROSS[:, None, None]
    noise, mirrored = (drawn.to(device, non_blocking=True) for drawn in (noise, mirrored))
    noise = torch.where(drags.symmetric[:, None, None, None], noise + mirrored, noise)
    field = smooth_noise(noise, SIDE, 2 * REACH, drags.radii[:, 0] / 2) * fade_out(device, _FIELD_FADES)
    strongest = field.square().sum(1).amax((1, 2)).sqrt()
    factor: Tensor = drags.shifts[:, 0].norm(dim=-1) / strongest
    return field * factor[:, None, None, None]


KINDS: dict[Kind, Callable[[_Drags, torch.Generator], Tensor]] = {"bumps": _bumps, "tps": _spline, "field": _field}
"""How each kind turns what was drawn into displacements."""
