"""Axis-aligned boxes: overlaps, suppression per group, and the small changes of shape that detectors make.

A box is (x0, y0, x1, y1) with x0 <= x1 and y0 <= y1, in any continuous unit; its width is x1 - x0 (no "+ 1").
"""

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor


def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of every pair.

    Args:
        a: (N, 4) boxes.
        b: (M, 4) boxes.

    Returns:
        (N, M) in [0, 1]; 0 where both boxes are empty.
    """
    shared = _intersection(a, b)
    return _ratio(shared, _area(a)[:, None] + _area(b)[None] - shared)


def box_min_overlap(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over the smaller area of every pair: 1 where one box lies inside the other.

    Args:
        a: (N, 4) boxes.
        b: (M, 4) boxes.

    Returns:
        (N, M) in [0, 1]; 0 where the smaller box is empty.
    """
    return _ratio(_intersection(a, b), torch.minimum(_area(a)[:, None], _area(b)[None]))


def nms(boxes: Tensor, scores: Tensor, group: Tensor, threshold: float) -> Tensor:
    """Greedy non-maximum suppression by IoU, within each group alone.

    Args:
        boxes: (N, 4) boxes.
        scores: (N,) higher is kept first.
        group: (N,) integer; boxes of different groups never suppress each other.
        threshold: IoU above which the lower-scored box goes, in [0, 1].

    Returns:
        (K,) int64 indices of what stays, by falling score.
    """
    if not len(boxes):
        return torch.empty(0, dtype=torch.int64, device=boxes.device)
    suppress = _suppression()
    if boxes.numel() <= (4_000 if boxes.device.type == "cpu" else 100_000):  # torchvision's `batched_nms` as well
        apart = group.to(boxes) * (boxes.max() + 1)  # moves each group to where no other is
        return suppress(boxes + apart[:, None], scores, threshold)
    of_group = (torch.nonzero(group == number)[:, 0] for number in torch.unique(group))
    kept = torch.cat([rows[suppress(boxes[rows], scores[rows], threshold)] for rows in of_group]).sort().values
    return kept[scores[kept].argsort(descending=True, stable=True)]


def nms_min(boxes: Tensor, scores: Tensor, group: Tensor, threshold: float) -> Tensor:
    """Greedy suppression by intersection over the smaller area ("Min" in MTCNN, arXiv:1604.02878), within each group.

    The greedy choice is the only fixed point of "a box stays when no better box that stays overlaps it"; the number of
    rounds is the longest chain of boxes that unseat each other, and every round is one matrix operation.

    Args:
        boxes: (N, 4) boxes; N is small enough for an (N, N) matrix.
        scores: (N,) higher is kept first; ties go to the lower index.
        group: (N,) integer; boxes of different groups never suppress each other.
        threshold: overlap above which the lower-scored box goes, in [0, 1].

    Returns:
        (K,) int64 indices of what stays, by falling score.
    """
    order = scores.argsort(descending=True, stable=True)
    boxes, group = boxes[order], group[order]
    rivals = (box_min_overlap(boxes, boxes) > threshold) & (group[:, None] == group[None])
    rivals = rivals.triu(diagonal=1)  # row unseats column: only the better-scored one of a pair
    stays = torch.ones_like(group, dtype=torch.bool)
    while not torch.equal(stays, after := ~(rivals & stays[:, None]).any(dim=0)):
        stays = after
    return order[stays]


def shift_boxes(boxes: Tensor, offsets: Tensor) -> Tensor:
    """Move each corner by a share of the box's own width and height (MTCNN's bounding-box regression).

    Args:
        boxes: (N, 4) boxes.
        offsets: (N, 4) shares (of width, height, width, height).

    Returns:
        (N, 4) moved boxes.
    """
    size = boxes[:, 2:] - boxes[:, :2]
    return boxes + offsets * torch.cat([size, size], dim=1)


def square_boxes(boxes: Tensor) -> Tensor:
    """Grow the shorter side of each box about its centre until the box is square.

    Args:
        boxes: (N, 4) boxes.

    Returns:
        (N, 4) squares.
    """
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1, keepdim=True) / 2
    return torch.cat([centre - half, centre + half], dim=1)


@cache
def _suppression() -> Callable[[Tensor, Tensor, float], Tensor]:
    """Return torchvision's compiled suppression; the package around it takes longer to import than torch."""
    package = find_spec("torchvision")
    for library in Path(package.origin or "").parent.glob("_C*") if package else ():
        try:
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
        except OSError:
            continue
    if not hasattr(torch.ops.torchvision, "nms"):
        import torchvision  # noqa: F401 (it knows where its library lies)
    suppress: Callable[[Tensor, Tensor, float], Tensor] = torch.ops.torchvision.nms
    return suppress


def _area(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)


def _intersection(a: Tensor, b: Tensor) -> Tensor:
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    return (high - low).clamp(min=0).prod(dim=2)


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole > 0, part / whole, torch.zeros_like(part))
