"""Affine sampling grids: crop, flip, rotation, scale and shift composed into one matrix an image.

Coordinates are those of `torch.nn.functional.grid_sample` with ``align_corners=False``: x to the right and y down,
-1 and 1 at the outer edges of the border pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def affine_matrices(scale: Tensor, aspect: Tensor, angle: Tensor, shift: Tensor, flip: Tensor) -> Tensor:
    """Compose the map from view to face coordinates, one an image.

    Args:
        scale: (B,) side of the view as a share of the face crop's side, > 0.
        aspect: (B,) width over height of the area that the view shows, > 0.
        angle: (B,) clockwise rotation of the area in radians.
        shift: (B, 2) centre of the area in face coordinates.
        flip: (B,) bool, mirror left and right.

    Returns:
        (B, 2, 3) matrices ``m`` with face = m[:, :, :2] @ view + m[:, :, 2].
    """
    width, height = scale * aspect.sqrt(), scale / aspect.sqrt()
    width = torch.where(flip, -width, width)
    cos, sin = angle.cos(), angle.sin()
    linear = torch.stack([cos * width, -sin * height, sin * width, cos * height], dim=1).view(-1, 2, 2)
    return torch.cat([linear, shift[:, :, None]], dim=2)


def sampling_grid(matrices: Tensor, size: int) -> Tensor:
    """Lay the pixel centres of ``size`` x ``size`` views into face coordinates.

    Args:
        matrices: (B, 2, 3) maps from view to face coordinates.
        size: pixels a side.

    Returns:
        (B, size, size, 2) face coordinates (x, y).
    """
    centers = (torch.arange(size, device=matrices.device, dtype=matrices.dtype) * 2 + 1) / size - 1
    across = matrices[:, :, 0, None] * centers
    down = matrices[:, :, 1, None] * centers + matrices[:, :, 2, None]
    # One plane for x and one for y: built by a single broadcast sum, and the layout that grid_sample reads fastest.
    return (across[:, :, None, :] + down[:, :, :, None]).movedim(1, -1)


def sample(images: Tensor, grid: Tensor) -> Tensor:
    """Resample once, bilinearly; points outside the image show its mirror image.

    Args:
        images: (B, C, H, W) float.
        grid: (B, h, w, 2) face coordinates.

    Returns:
        (B, C, h, w) float.
    """
    # Folded here, as not every accelerator's grid_sample reflects: no point lies beyond the outer pixels' centres then.
    folded = 1 - (torch.remainder(grid + 1, 4) - 2).abs()
    last = 1 - 1 / torch.tensor([images.shape[3], images.shape[2]], device=grid.device, dtype=grid.dtype)
    folded = folded.clamp(-last, last)
    return F.grid_sample(images, folded, mode="bilinear", padding_mode="zeros", align_corners=False)
