"""FaceSwap: the inner face of one person on the outer face of another, for aligned crops and whole batches.

SSL-FER (Shu et al., BMVC 2022, arXiv:2210.03853) pastes brows, eyes, nose and mouth of a face on somebody else's
hair, cheeks and background: the expression stays, the style goes. The authors find 68 landmarks anew for each pair and
fit one face to the other. Crops of one template lie on each other as they are, so that one mask serves all of them and
a batch is swapped by a few products. Mask, colour matching and feathered edge are ferkit's own.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ferkit.ops.colour import LUMA

__all__ = ["inner_face_mask", "stranger_rows", "swap_faces"]

_DIRECTIONS = 64
"""Tangents of the outline; between two of them it errs by 1 - cos(pi / 64), a thousandth of the distance."""

_CHUNK = 16
"""Faces that are worked on at a time: few enough for their pixels to stay in a core's cache between the operations."""


def inner_face_mask(points: Tensor, size: int, margin: float, feather: float) -> Tensor:
    """Mask the convex hull of some points of the template, grown and feathered.

    Args:
        points: (K, 2) face coordinates: x and y in [-1, 1], -1 and 1 at the crop's outer edges; in any order.
        size: pixels a side of the crop.
        margin: how far the mask reaches beyond the hull, which rounds its corners; in face coordinates, >= 0.
        feather: width of the edge, inside of that, from 0 to 1; in face coordinates, > 0.

    Returns:
        (size, size) weights of the inner face in [0, 1], in the dtype and on the device of ``points``.
    """
    angle = torch.arange(_DIRECTIONS, device=points.device, dtype=points.dtype) * (2 * math.pi / _DIRECTIONS)
    normals = torch.stack([angle.cos(), angle.sin()], 1)
    # A convex set is what lies within all of its tangents; moving those outward grows it by a disc.
    tangents = (points @ normals.T).amax(0) + margin
    line = (torch.arange(size, device=points.device, dtype=points.dtype) * 2 + 1) / size - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    depth = (tangents - torch.stack([x, y], -1) @ normals.T).amin(-1)
    inside = (depth / feather).clamp(0, 1)
    return inside.square() * (3 - 2 * inside)


def swap_faces(inner: Tensor, outer: Tensor, mask: Tensor, chosen: Tensor) -> Tensor:
    """Show the inner face of each chosen crop on the outer face of another, in the other's colours.

    The pasted face takes over the other's mean colour under the mask, and its contrast up to a factor of two. With
    ``chosen`` on the CPU nothing waits for an accelerator that holds the crops.

    Args:
        inner: (B, H, W, 3) uint8 crops whose expressions are kept.
        outer: (B, H, W, 3) uint8 crops of other people on the same template; the same ones for a positive and for the
            positive of its hard negative, which else could be told apart by their outer faces.
        mask: (H, W) weights of the inner face in [0, 1], see `inner_face_mask`.
        chosen: (B,) bool, which crops to swap, as drawn.

    Returns:
        (B, H, W, 3) uint8; the crops that are not chosen come back as they are.
    """
    swapped = inner.clone()
    for rows in chosen.nonzero().squeeze(1).split(_CHUNK):
        at = rows.to(inner.device)
        swapped[at] = _paste(inner[at], outer[at], mask)
    return swapped


def _paste(inner: Tensor, outer: Tensor, mask: Tensor) -> Tensor:
    below, above = outer.to(mask.dtype), inner.to(mask.dtype)
    (mean_below, contrast_below), (mean_above, contrast_above) = (_statistics(x, mask) for x in (below, above))
    gain = (contrast_below / contrast_above).clamp(0.5, 2)[:, None]
    offset = mean_below - gain * mean_above
    # Both are affine in the pixels: below + mask * (gain * above + offset - below).
    matched = torch.addcmul(offset[:, None, None], above, gain[:, None, None])
    return torch.lerp(below, matched, mask[..., None]).round_().clamp_(0, 255).to(torch.uint8)


def _statistics(crops: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """(B, 3) mean colours and (B,) standard deviations of the gray, weighted by the mask; the latter at least 1."""
    weights = mask.flatten() / mask.sum()
    mean = weights @ crops.flatten(1, 2)
    gray = crops.flatten(1, 2) @ crops.new_tensor(LUMA)
    variance = gray.square() @ weights - (mean @ crops.new_tensor(LUMA)).square()
    return mean, variance.clamp(min=1).sqrt()


def stranger_rows(person: Tensor, drawn: Tensor) -> Tensor:
    """Give each face of a batch one of another person, each of those with the same chance.

    Args:
        person: (B,) int64 number of each face's person, or of its clip where people are not known.
        drawn: (B,) uniform in [0, 1).

    Returns:
        (B,) int64 rows of the batch; -1 where all faces are of the same person.
    """
    ordered, order = person.sort(stable=True)
    first, after = (torch.searchsorted(ordered, person, right=right) for right in (False, True))
    others = len(person) - (after - first)
    # Count the strangers in the sorted order, stepping over the person's own faces.
    nth = torch.minimum((drawn * others).long(), others - 1)
    place = torch.where(nth < first, nth, nth + after - first)
    return torch.where(others > 0, order[place.clamp(0, len(person) - 1)], -1)
