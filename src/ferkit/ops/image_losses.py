"""How alike pictures are: structure, style and symmetry."""

import torch
import torch.nn.functional as F
from torch import Tensor

_RADIUS, _SIGMA = 5, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """Structural similarity (Wang et al., IEEE TIP 2004), with the paper's Gaussian window of 11 pixels.

    Means are two products with band matrices, which a CPU does many times as fast as convolutions of one channel. Only
    windows inside the picture count, as in scikit-image.

    Args:
        a: (B, C, H, W) float in [0, 1], H and W at least 11.
        b: pictures of the same shape.

    Returns:
        () mean over pictures, channels and windows, at most 1.

    Raises:
        ValueError: the shapes differ, or a side is shorter than the window.
    """
    if a.shape != b.shape or min(a.shape[2:]) <= 2 * _RADIUS:
        raise ValueError(f"expected two (B, C, H, W) of 11 pixels a side or more, got {a.shape} and {b.shape}")
    a, b = a.float(), b.float()
    # Less each plane's mean: second moments of what is left do not drown in that of the light.
    light_a, light_b = (plane.mean((2, 3), keepdim=True) for plane in (a, b))
    a, b = a - light_a, b - light_b
    mean_a, mean_b, square_a, square_b, product = _windows(torch.stack([a, b, a * a, b * b, a * b]))
    variance = square_a - mean_a**2 + square_b - mean_b**2
    covariance = product - mean_a * mean_b
    mean_a, mean_b = light_a + mean_a, light_b + mean_b
    light = (2 * mean_a * mean_b + _C1) / (mean_a**2 + mean_b**2 + _C1)
    similarity: Tensor = (light * (2 * covariance + _C2) / (variance + _C2)).mean()
    return similarity


def _windows(planes: Tensor) -> Tensor:
    """Gaussian means of (..., H, W) over the windows that lie inside."""
    down, across = (_band(planes, side) for side in planes.shape[-2:])
    with torch.autocast(planes.device.type, enabled=False):  # variances are small differences of these
        return down @ planes @ across.mT


def _band(like: Tensor, side: int) -> Tensor:
    """(side - 10, side): each row is the Gaussian at another place."""
    offsets = torch.arange(side, device=like.device, dtype=like.dtype)
    distance = offsets - offsets[_RADIUS : side - _RADIUS, None]
    weights = torch.exp(-(distance**2) / (2 * _SIGMA**2)).masked_fill(distance.abs() > _RADIUS, 0)
    return weights / weights.sum(1, keepdim=True)


def gram_matrices(features: Tensor) -> Tensor:
    """Mean products of channels (Gatys et al., arXiv:1508.06576), here per pixel.

    Args:
        features: (B, C, H, W) float.

    Returns:
        (B, C, C).
    """
    flat = features.float().flatten(2)
    with torch.autocast(flat.device.type, enabled=False):  # sums over many pixels
        return flat @ flat.mT / flat.shape[2]


def asymmetry(images: Tensor) -> Tensor:
    """Mean absolute difference of pictures and their mirror images.

    Args:
        images: (B, C, H, W) float.

    Returns:
        () >= 0; 0 for pictures whose halves mirror each other.
    """
    return (images - images.flip(3)).abs().mean()


def beyond_margin(a: Tensor, b: Tensor, margin: float) -> Tensor:
    """Mean of what absolute differences exceed a margin by.

    Args:
        a: float tensor.
        b: tensor whose shape goes with it.
        margin: difference that costs nothing, >= 0.

    Returns:
        () >= 0.
    """
    return F.relu((a - b).abs() - margin).mean()
