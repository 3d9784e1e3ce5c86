"""Colour jitter as one matrix and one offset an image, so that a batch is changed in a single product.

Brightness, contrast, saturation, hue and gray are all affine in RGB; composing their matrices first costs nothing
against the pixels. Values are not clipped on the way, unlike in image libraries.
"""

import torch
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)
"""ITU-R BT.601 weights of red, green and blue in gray."""


def jitter_matrices(
    brightness: Tensor, contrast: Tensor, saturation: Tensor, hue: Tensor, gray: Tensor
) -> tuple[Tensor, Tensor]:
    """Compose brightness, contrast, saturation, hue and gray, in this order.

    Args:
        brightness: (B,) factor, 1 leaves as is.
        contrast: (B,) factor about the image's mean gray.
        saturation: (B,) factor about each pixel's gray.
        hue: (B,) turn about the gray axis in radians (the YIQ rotation).
        gray: (B,) bool, drop all colour.

    Returns:
        (B, 3, 3) matrices of the pixel and (B, 3, 3) matrices of the image's mean: new = matrix @ rgb + about @ mean.
    """
    to_gray = torch.tensor(LUMA, device=hue.device, dtype=hue.dtype).expand(3, 3)
    about = ((1 - contrast) * brightness)[:, None, None] * to_gray
    keep = torch.where(gray, torch.zeros_like(saturation), saturation)[:, None, None]
    saturate = keep * torch.eye(3, device=hue.device, dtype=hue.dtype) + (1 - keep) * to_gray
    matrix = _hue_rotation(hue) @ saturate * (brightness * contrast)[:, None, None]
    return matrix, about


def _hue_rotation(angle: Tensor) -> Tensor:
    """(B, 3, 3) turns of the chroma plane by (B,) radians; gray stays as it is."""
    to_yiq = angle.new_tensor([LUMA, (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112)])
    cos, sin, zero, one = angle.cos(), angle.sin(), torch.zeros_like(angle), torch.ones_like(angle)
    turn = torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], dim=1).view(-1, 3, 3)
    rotation: Tensor = torch.linalg.inv(to_yiq) @ turn @ to_yiq
    return rotation


def apply_colour(images: Tensor, matrix: Tensor, offset: Tensor, out: Tensor | None = None) -> Tensor:
    """Change every pixel by its image's matrix and offset.

    Args:
        images: (B, 3, H, W).
        matrix: (B, 3, 3).
        offset: (B, 3).
        out: (B, 3, H, W) contiguous, to write to; a new one when None.

    Returns:
        (B, 3, H, W).
    """
    flat = None if out is None else out.view(*out.shape[:2], -1)
    return torch.baddbmm(offset[:, :, None], matrix, images.flatten(2), out=flat).view(images.shape)
