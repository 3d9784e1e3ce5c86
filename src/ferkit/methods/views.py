"""Views of faces: what is drawn at random, and the one resampling that applies it to a whole batch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from ferkit.methods.anchors import masked_ellipses
from ferkit.methods.random_ranges import PositiveRange, chance, uniform
from ferkit.ops.blur import gaussian_blur
from ferkit.ops.colour import apply_colour, jitter_matrices
from ferkit.ops.cutmix import inside_boxes
from ferkit.ops.grids import affine_matrices, sample, sampling_grid
from ferkit.ops.pictures import sample_pictures
from ferkit.ops.warps import Warp

_MASKED = masked_ellipses()

_CHUNK = 16
"""Faces that are worked on at a time: few enough for their pixels to stay in a core's cache between the operations."""


class ViewSettings(BaseModel):
    """Global transforms: they change the picture and leave the expression as it is (ferkit defaults)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(112, ge=16, le=1024, description="pixels a side of a view")
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
    solarise: float = Field(0.0, ge=0, le=1, description="chance of a negative of all that is brighter than a half")
    erase: float = Field(0.0, ge=0, le=1, description="chance of a rectangle without content (arXiv:1708.04896)")
    mask: float = Field(0.0, ge=0, le=1, description="chance of an ellipse without content over mouth or eye")
    mean: tuple[float, float, float] = Field((0.485, 0.456, 0.406), description="channel means of the encoder's input")
    std: tuple[float, float, float] = Field((0.229, 0.224, 0.225), description="channel deviations of the same")


@dataclass(frozen=True)
class Described:
    """What MaskFN knows of N anchors and their N positives."""

    clip: Tensor  # (N,) int64 number of each anchor's clip, -1 for none
    features: Tensor  # (N, 2, D) of eyes and mouth of each anchor and of its positive
    legible: Tensor  # (N, 2) bool, whether both patches of each show something


@dataclass(frozen=True)
class Mixed:
    """What CutMix did to N positives."""

    partner: Tensor  # (N,) int64 row of the anchor whose positive was mixed in
    share: Tensor  # (N,) how much of its own inner face each positive has kept, in [0, 1]


LossContext = Described | Mixed | None
"""None where no part has anything to say."""


@dataclass(frozen=True)
class Views:
    """Two (B, 3, S, S) views of each face, and (K, B, 3, S, S) views of its local warps, or none.

    What else the loss of a method needs of the faces: ``label``, (B,) int64 class numbers, -1 where unknown;
    ``context``, what the parts of SSL-FER know, and ``moments``, (B, 2) int64 microseconds of a and b;
    ``displacement``, (K, B, M, 2) shifts of M points by the warps, in face coordinates; ``person`` and ``row``, (B,)
    int64 numbers; ``target``, 2B rows, what a and b are to be told as: shares of classes, or vectors.
    """

    a: Tensor
    b: Tensor
    warped: Tensor | tuple[()] = ()
    label: Tensor | None = None
    context: LossContext = None
    displacement: Tensor | None = None
    moments: Tensor | None = None
    person: Tensor | None = None
    row: Tensor | None = None
    target: Tensor | None = None


def to_float(crops: Tensor) -> Tensor:
    """Turn (B, H, W, 3) uint8 crops into (B, 3, H, W) float in [0, 1]."""
    return crops.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format).div_(255)


def as_pictures(views: Tensor, settings: ViewSettings) -> NDArray[np.uint8]:
    """Turn (B, 3, S, S) normalised views into (B, S, S, 3) pictures, for eyes."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (settings.mean, settings.std))
    pixels = ((views.float().cpu() * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).numpy()


class Transforms(NamedTuple):
    """Global transforms of B views, as drawn."""

    affine: Tensor  # (B, 2, 3) maps from view to face coordinates
    sigma: Tensor  # (B,) widths of the blur in pixels, 0 for none
    matrix: Tensor  # (B, 3, 3) what becomes of a pixel in [0, 1], normalisation included
    about: Tensor  # (B, 3, 3) what is added of the view's mean colour
    offset: Tensor  # (B, 3) what is added to all

    def to(self, device: torch.device) -> Transforms:
        """The same transforms on ``device``, but for the blur's widths, which decide on the host what is blurred."""
        affine, *colour = (
            part.to(device, non_blocking=True) for part in (self.affine, self.matrix, self.about, self.offset)
        )
        return Transforms(affine, self.sigma, *colour)

    def rows(self, rows: slice) -> Transforms:
        """The transforms of some of the views."""
        return Transforms(*(part[rows] for part in self))

    def recolour(self, planes: Tensor, mean: Tensor, white: float = 1.0, out: Tensor | None = None) -> Tensor:
        """Change the colours of (B, 3, H, W) views of (B, 3) means, whose values reach up to ``white``."""
        offset = torch.baddbmm(self.offset[:, :, None], self.about / white, mean[:, :, None])[:, :, 0]
        return apply_colour(planes, self.matrix / white, offset, out=out)


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
        transforms = self._draw(len(faces), generator)
        if faces.dtype == torch.uint8 and faces.device.type == "cpu":
            view = self._of_pictures(faces, transforms, warp)
        else:
            planes = faces if faces.is_floating_point() else to_float(faces)
            view = self._of_planes(planes, transforms.to(faces.device), warp)
        if self.settings.solarise:
            view = self._solarise(view, generator)
        if self.settings.erase:
            view = self._erase(view, generator)
        return self._mask(view, transforms.affine, generator) if self.settings.mask else view

    def _erase(self, view: Tensor, generator: torch.Generator) -> Tensor:
        """Set a rectangle of some views to the mean colour: 2 to 25 % of the area, sides of up to 1 : 2."""
        count = len(view)
        chosen = chance((count,), self.settings.erase, generator)
        area = uniform((count,), (0.02, 0.25), generator) * chosen
        ratio = uniform((count,), (-math.log(2), math.log(2)), generator).exp()
        half = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], 1)
        center = uniform((count, 2), (-1, 1), generator)
        boxes = torch.cat([center - half, center + half], 1)
        return view.masked_fill_(inside_boxes(boxes.to(view.device, non_blocking=True), *view.shape[2:])[:, None], 0)

    def _solarise(self, view: Tensor, generator: torch.Generator) -> Tensor:
        """Turn the bright parts of some views into their negative, as BYOL does at last (arXiv:2006.07733)."""
        chosen = chance((len(view),), self.settings.solarise, generator).to(view.device, non_blocking=True)
        mean, std = (view.new_tensor(values)[:, None, None] for values in (self.settings.mean, self.settings.std))
        pixels = (view * std + mean).clamp(0, 1)
        turned = (torch.where(pixels < 0.5, pixels, 1 - pixels) - mean) / std
        return torch.where(chosen[:, None, None, None], turned, view)

    def _mask(self, view: Tensor, affine: Tensor, generator: torch.Generator) -> Tensor:
        """Fill the mouth, the left or the right eye of some views with the view's mean (arXiv:2210.03853's code)."""
        count = len(view)
        part = torch.randint(len(_MASKED), (count,), generator=generator)
        chosen = chance((count,), self.settings.mask, generator).to(view.device, non_blocking=True)
        center, half = (points[part].to(view.device, non_blocking=True) for points in _MASKED.unbind(1))
        grid = sampling_grid(affine.to(view.device, non_blocking=True), self.settings.size)
        inside = ((grid - center[:, None, None]) / half[:, None, None]).square().sum(-1) < 1
        return torch.where((inside & chosen[:, None, None])[:, None], view.mean((2, 3), keepdim=True), view)

    def _of_pictures(self, crops: Tensor, transforms: Transforms, warp: Warp | None) -> Tensor:
        view = torch.empty(len(crops), 3, self.settings.size, self.settings.size)
        for start in range(0, len(crops), _CHUNK):
            rows = slice(start, start + _CHUNK)
            some = transforms.rows(rows)
            planes, mean = sample_pictures(crops[rows], self._grid(some.affine, warp and warp.rows(rows)), some.sigma)
            some.recolour(planes.float(), mean, white=255, out=view[rows])
        return view

    def _of_planes(self, faces: Tensor, transforms: Transforms, warp: Warp | None) -> Tensor:
        planes = sample(faces, self._grid(transforms.affine, warp))
        return transforms.recolour(gaussian_blur(planes, transforms.sigma), planes.mean((2, 3)))

    def _grid(self, affine: Tensor, warp: Warp | None) -> Tensor:
        grid = sampling_grid(affine, self.settings.size)
        return grid if warp is None else warp.to(grid.device).bend(grid)

    def _draw(self, count: int, generator: torch.Generator) -> Transforms:
        s = self.settings
        affine = self._draw_affine(count, generator)
        matrix, about = jitter_matrices(**self._draw_colour(count, generator))
        sigma = uniform((count,), s.sigma, generator) * (s.size / 112) * chance((count,), s.blur, generator)
        mean, std = torch.tensor(s.mean), torch.tensor(s.std)[:, None]
        return Transforms(affine, sigma, matrix / std, about / std, (-mean / std[:, 0]).expand(count, -1))

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
