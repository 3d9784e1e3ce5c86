"""Flows: where each pixel of a picture comes from, as a displacement in half sides of the picture."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from ferkit.ops.grids import sample, sampling_grid


def warp_by_flow(images: Tensor, flow: Tensor) -> Tensor:
    """Show at each pixel p what lies at p + flow(p), resampled bilinearly and mirrored at the borders.

    Args:
        images: (B, C, S, S) pictures or feature maps, float.
        flow: (B, 2, s, s) displacements (x, y) in half sides, resized to the images; zeros change nothing.

    Returns:
        (B, C, S, S) float32: a displacement has no place for the rounding of shorter types.
    """
    size = images.shape[-1]
    flow = F.interpolate(flow.float(), size=(size, size), mode="bilinear", align_corners=False)
    identity = sampling_grid(torch.eye(2, 3, device=flow.device)[None], size)
    return sample(images.float(), identity + flow.movedim(1, -1))


def back_flow(flow: Tensor) -> Tensor:
    """The way back as CycleFace takes it (arXiv:2108.03427): -flow(p + flow(p)), the inverse where flow is constant.

    Args:
        flow: (B, 2, s, s) displacements (x, y) in half sides.

    Returns:
        (B, 2, s, s), of no larger displacements.
    """
    return -warp_by_flow(flow, flow)


def flow_colours(flow: Tensor, largest: float) -> Tensor:
    """Paint a flow: the hue is the direction (red to the right, then yellow-green down), the strength the distance.

    Args:
        flow: (B, 2, s, s) displacements (x, y).
        largest: distance that has the full colour, > 0; white is none.

    Returns:
        (B, 3, s, s) RGB in [0, 1].
    """
    x, y = flow.unbind(1)
    hue = torch.atan2(y, x) * (3 / math.pi)
    sixths = torch.tensor([0.0, 4.0, 2.0], device=flow.device).view(3, 1, 1)
    full = ((hue[:, None] + sixths).remainder(6) - 3).abs().sub(1).clamp(0, 1)
    strength = (flow.norm(dim=1, keepdim=True) / largest).clamp(max=1)
    colours: Tensor = 1 - strength * (1 - full)
    return colours
