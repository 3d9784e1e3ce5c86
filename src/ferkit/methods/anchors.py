"""Where on the aligned crop a face moves: the points that local warps drag."""

from collections.abc import Iterable

import torch
from torch import Tensor

from ferkit.faces.template import CROP_SIZE, TEMPLATE

ANCHORS: dict[str, tuple[float, float]] = {
    "left inner brow": (54.5, 34.5),
    "left outer brow": (35.5, 34.5),
    "left eye": (43.5, 43.5),
    "left cheek": (43.5, 74.0),
    "left mouth corner": (46.9, 89.7),
    "right inner brow": (72.5, 34.5),
    "right outer brow": (91.5, 34.5),
    "right eye": (83.5, 43.5),
    "right cheek": (83.5, 74.0),
    "right mouth corner": (80.1, 89.7),
    "upper lip": (63.5, 84.5),
    "lower lip": (63.5, 96.5),
    "chin": (63.5, 112.0),
}
"""Pixels (x, y) of the 128 px crop on the template "ferkit-128"; left and right as the picture shows them.

Eyes and mouth corners are the template's own points, the others lie where the mean face has them.
"""

MIRRORED = (5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 10, 11, 12)
"""For each anchor, the index of its counterpart on the other side."""

ON_THE_RIGHT = tuple(name.startswith("right") for name in ANCHORS)
"""For each anchor, whether it is the right one of a pair."""

EYES = tuple(name for name in ANCHORS if "eye" in name or "brow" in name)
EYE_HALF, MASK_MARGIN = (9.5, 3.5), 10.0
"""Half width and height of an open eye on the template, by human proportions to the 40 px between the eyes; and what
the authors of SSL-FER add around the landmarks that they mask. Pixels of the 128 px crop."""

MOUTH = tuple(name for name in ANCHORS if "mouth" in name or "lip" in name)
"""Names of the anchors around the eyes, brows included, and around the mouth."""


def anchor_points(names: Iterable[str] = tuple(ANCHORS)) -> Tensor:
    """Give anchors in face coordinates.

    Args:
        names: some of `ANCHORS`.

    Returns:
        (K, 2) float, x and y in [-1, 1] with -1 and 1 at the crop's outer edges.
    """
    return _face_coordinates(torch.tensor([ANCHORS[name] for name in names]))


def masked_ellipses() -> Tensor:
    """Ellipses over the mouth, the left and the right eye of the template, see `EYE_HALF` and `MASK_MARGIN`.

    Returns:
        (3, 2, 2) centres and half axes, x and y, in face coordinates.
    """
    lips = anchor_points(MOUTH)
    low, high = lips.amin(0), lips.amax(0)
    scale = 2 / CROP_SIZE
    eyes = [torch.stack([point, scale * torch.tensor(EYE_HALF)]) for point in anchor_points(("left eye", "right eye"))]
    boxes = torch.stack([torch.stack([(low + high) / 2, (high - low) / 2]), *eyes])
    boxes[:, 1] += scale * MASK_MARGIN
    return boxes


def carry_anchors(landmarks: Tensor) -> Tensor:
    """Carry the anchors from the template onto faces, by the affine map that best takes its five points onto theirs.

    Alignment leaves what a similarity cannot undo: long and short faces, turned heads. Six numbers from five points
    leave no room to follow a single misplaced one far.

    Args:
        landmarks: (B, 5, 2) eyes, nose and mouth corners in pixels of the 128 px crop.

    Returns:
        (B, 13, 2) face coordinates, held within [-1, 1].
    """
    template = _homogeneous(_face_coordinates(torch.tensor(TEMPLATE)))
    weights = _homogeneous(anchor_points()) @ torch.linalg.pinv(template)
    carried: Tensor = weights.to(landmarks, non_blocking=True) @ _face_coordinates(landmarks)
    return carried.clamp(-1, 1)


def _face_coordinates(pixels: Tensor) -> Tensor:
    return (pixels + 0.5) * (2 / CROP_SIZE) - 1


def _homogeneous(points: Tensor) -> Tensor:
    return torch.cat([points, torch.ones_like(points[..., :1])], -1)
