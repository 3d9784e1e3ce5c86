"""Views of faces: what is drawn at random, and the one resampling that applies it to a whole batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from ferkit.methods.draws import PositiveRange, chance, uniform
from ferkit.methods.parts.contrast import Described, Mixed
from ferkit.ops.blur import gaussian_blur
from ferkit.ops.colour import LUMA, apply_colour, jitter_matrices, normalise_after
from ferkit.ops.grids import affine_matrices, sample, sampling_grid
from ferkit.ops.pictures import sample_pictures
from ferkit.ops.warps import Warp

__all__ = ["ViewMaker", "ViewSettings", "Views", "to_float"]

_CHUNK = 16
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


@dataclass(frozen=True)
class Views:
    """Two (B, 3, S, S) views of each face, and (K, B, 3, S, S) views of its local warps (K may be 0).

    ``label`` holds the faces' (B,) int64 class numbers, -1 where unknown, for the methods that ask for them; ``aside``
    what the parts of SSL-FER know of the faces.
    """

    a: Tensor
    b: Tensor
    warped: Tensor
    label: Tensor | None = None
    aside: Described | Mixed | None = None


def to_float(crops: Tensor) -> Tensor:
    """Turn (B, H, W, 3) uint8 crops into (B, 3, H, W) float in [0, 1]."""
    return crops.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format).div_(255)


@dataclass(frozen=True)
class Transforms:
    """Global transforms of B views, as drawn: (B, 2, 3) affine maps, (B,) blur widths and (B,) colour factors."""

    affine: Tensor
    sigma: Tensor
    colour: dict[str, Tensor]

    def to(self, device: torch.device) -> Transforms:
        """The same transforms on ``device``, but for the blur's widths, which decide on the host what is blurred."""
        colour = {name: values.to(device) for name, values in self.colour.items()}
        return Transforms(self.affine.to(device), self.sigma, colour)


class ViewMaker:
    """Draws and applies views; every random number comes from the generator that it is given."""

    def __init__(self, settings: ViewSettings) -> None:
        self.settings = settings

    def __call__(self, faces: Tensor, generator: torch.Generator, warp: Warp | None = None) -> Tensor:
        """Make one view of each face: crop, flip, turn, optional warp in one resampling, then blur and colour.

        Crops on the CPU are resampled and blurred in uint8, several times as fast; the picture is the same within two
        levels of 255 before the colour changes.

        Args:
            faces: (B, H, W, 3) uint8 crops, or (B, 3, H, W) float in [0, 1].
            generator: source of all randomness, on the CPU.
            warp: local warps; None for a positive.

        Returns:
            (B, 3, size, size) float, normalised by the settings' mean and std.
        """
        drawn = self._draw(len(faces), generator)
        if faces.dtype == torch.uint8 and faces.device.type == "cpu":
            return self._of_pictures(faces, drawn, warp)
        return self._of_planes(faces if faces.is_floating_point() else to_float(faces), drawn.to(faces.device), warp)

    def _of_pictures(self, crops: Tensor, drawn: Transforms, warp: Warp | None) -> Tensor:
        view = torch.empty(len(crops), 3, self.settings.size, self.settings.size)
        # Contrast turns about a picture's gray: its offset is that of a white picture, times the gray.
        matrix, offset = jitter_matrices(**drawn.colour, mean=torch.ones(len(crops), 3))
        for start in range(0, len(crops), _CHUNK):
            rows = slice(start, start + _CHUNK)
            grid = self._grid(drawn.affine[rows], warp and warp.rows(rows))
            planes, mean = sample_pictures(crops[rows], grid, drawn.sigma[rows])
            gray = mean @ mean.new_tensor(LUMA) / 255
            recolour = self._normalise(matrix[rows] / 255, offset[rows] * gray[:, None])
            apply_colour(planes.float(), *recolour, out=view[rows])
        return view

    def _of_planes(self, faces: Tensor, drawn: Transforms, warp: Warp | None) -> Tensor:
        planes = sample(faces, self._grid(drawn.affine, warp))
        recolour = self._normalise(*jitter_matrices(**drawn.colour, mean=planes.mean((2, 3))))
        return apply_colour(gaussian_blur(planes, drawn.sigma), *recolour)

    def _grid(self, affine: Tensor, warp: Warp | None) -> Tensor:
        grid = sampling_grid(affine, self.settings.size)
        return grid if warp is None else warp.to(grid.device).bend(grid)

    def _normalise(self, matrix: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        return normalise_after(
            matrix, offset, offset.new_tensor(self.settings.mean), offset.new_tensor(self.settings.std)
        )

    def _draw(self, count: int, generator: torch.Generator) -> Transforms:
        affine = self._draw_affine(count, generator)
        colour = self._draw_colour(count, generator)
        s = self.settings
        sigma = uniform((count,), s.sigma, generator) * (s.size / 112) * chance((count,), s.blur, generator)
        return Transforms(affine, sigma, colour)

    def _draw_affine(self, count: int, generator: torch.Generator) -> Tensor:
        s = self.settings
        scale = uniform((count,), s.scale, generator)
        room = (1 - scale).clamp(min=0)[:, None]
        return affine_matrices(
            scale=scale,
            aspect=uniform((count,), (math.log(s.aspect[0]), math.log(s.aspect[1])), generator).exp(),
            angle=uniform((count,), (-math.radians(s.rotation), math.radians(s.rotation)), generator),
            shift=room * uniform((count, 2), (-1, 1), generator),
            flip=chance((count,), s.flip, generator),
        )

    def _draw_colour(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        s = self.settings
        active = chance((count,), s.jitter, generator)

        def change(most: float) -> Tensor:
            return uniform((count,), (-most, most), generator) * active

        return {
            "brightness": 1 + change(s.brightness),
            "contrast": 1 + change(s.contrast),
            "saturation": 1 + change(s.saturation),
            "hue": change(2 * math.pi * s.hue),
            "gray": chance((count,), s.gray, generator),
        }
