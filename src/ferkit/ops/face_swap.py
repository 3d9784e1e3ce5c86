"""FaceSwap: the inner face of one person on the outer face of another, for aligned crops and whole batches.

SSL-FER (Shu et al., BMVC 2022, arXiv:2210.03853) pastes brows, eyes, nose and mouth of a face on somebody else's
hair, cheeks and background: the expression stays, the style goes. The authors find 68 landmarks anew for each pair and
fit one face to the other. Crops of one template lie on each other as they are, so that one mask serves all of them and
a batch is swapped by a few products. Mask, colour matching and feathered edge are ferkit's own.
"""

import math

import torch
from torch import Tensor

from ferkit.ops.colour import LUMA

_DIRECTIONS = 64
"""Tangents of the outline; between two of them it errs by 1 - cos(pi / 64), a thousandth of the distance."""

_CHUNK = 16
"""Faces that a CPU works on at a time: few enough for their pixels to stay in a core's cache between the operations."""


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

    Under the mask the pasted face takes over the other's mean colour, the spread of its luma within a factor of two,
    and that of its chroma where it is less: on a gray face it is gray. With ``chosen`` on the CPU nothing waits for an
    accelerator that holds the crops.

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
    rows = chosen.nonzero().squeeze(1).to(inner.device, non_blocking=True)
    step = _CHUNK if inner.device.type == "cpu" else max(1, len(rows))
    for start in range(0, len(rows), step):
        at = rows[start : start + step]
        swapped[at] = _paste(inner[at], outer[at], mask)
    return swapped


def _paste(inner: Tensor, outer: Tensor, mask: Tensor) -> Tensor:
    below, above = outer.to(mask.dtype).flatten(1, 2), inner.to(mask.dtype).flatten(1, 2)
    (mean_below, *spread_below), (mean_above, *spread_above) = (_statistics(x, mask) for x in (below, above))
    luma, chroma = (b / a for b, a in zip(spread_below, spread_above, strict=True))
    to_gray = _luma(mask).expand(3, 3)
    # More than the face's own chroma would turn what is gray on reddish skin, such as teeth, blue on pale skin.
    gain = luma.clamp(0.5, 2) * to_gray + chroma.clamp(max=1) * (torch.eye(3, device=mask.device) - to_gray)
    matched = torch.baddbmm(mean_below - mean_above @ gain.mT, above, gain.mT)
    swapped = torch.lerp(below, matched, mask.flatten()[:, None])
    return swapped.round_().clamp_(0, 255).to(torch.uint8).view(inner.shape)


def _luma(like: Tensor) -> Tensor:
    return torch.tensor(LUMA, dtype=like.dtype).to(like.device, non_blocking=True)


def _statistics(pixels: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, 1, 3) mean colours under the mask and (B, 1, 1) spreads of luma and chroma, at least one level each."""
    weights = (mask / mask.sum()).flatten()
    mean = (weights @ pixels)[:, None]
    centered = pixels - mean
    gray = centered @ _luma(mask)
    chroma = (centered - gray[..., None]).square().sum(2)
    luma_spread, chroma_spread = ((weights @ square.mT).clamp(min=1).sqrt() for square in (gray.square(), chroma))
    return mean, luma_spread[:, None, None], chroma_spread[:, None, None]


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
