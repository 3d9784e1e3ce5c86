"""Gaussian blur with a width of its own for every image."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def gaussian_blur(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur each image by its own Gaussian, as two grouped convolutions.

    With ``sigma`` on the CPU nothing waits for an accelerator that holds the images.

    Args:
        images: (B, C, H, W) float.
        sigma: (B,) standard deviation in pixels, >= 0; an image with 0 comes back as it is.

    Returns:
        (B, C, H, W), mirrored at the borders.
    """
    chosen = (sigma > 0).nonzero().squeeze(1)
    if len(chosen) == 0:
        return images
    rows = chosen.to(images.device, non_blocking=True)
    return images.index_copy(0, rows, _blur_all(images[rows], sigma[chosen]))


def _blur_all(images: Tensor, sigma: Tensor) -> Tensor:
    batch, channels, height, width = images.shape
    radius = min(math.ceil(3 * float(sigma.max())), min(height, width) - 1)
    offsets = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    sigma = sigma.to(images, non_blocking=True)
    kernels = torch.softmax(-(offsets**2) / (2 * sigma[:, None] ** 2), dim=1).repeat_interleave(channels, 0)
    rows = F.pad(images, (radius, radius, radius, radius), mode="reflect").view(
        1, batch * channels, height + 2 * radius, -1
    )
    rows = F.conv2d(rows, kernels[:, None, None, :], groups=batch * channels)
    return F.conv2d(rows, kernels[:, None, :, None], groups=batch * channels).view(batch, channels, height, width)
