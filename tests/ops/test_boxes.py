import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import box_iou as torchvision_iou

from ferkit.ops.boxes import box_iou, box_min_overlap, nms, nms_min, shift_boxes, square_boxes


def random_boxes(count, seed, spread=40.0):
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=generator) * spread
    return torch.cat([low, low + 1 + torch.rand(count, 2, generator=generator) * 30], dim=1)


def greedy(boxes, scores, group, threshold, overlap):
    """The textbook loop: take the best box, drop what overlaps it, repeat."""
    left, kept = list(np.argsort(-scores.numpy(), kind="stable")), []
    while left:
        best = left.pop(0)
        kept.append(int(best))
        rivals = overlap(boxes[best : best + 1], boxes)[0]
        left = [i for i in left if group[i] != group[best] or rivals[i] <= threshold]
    return kept


def test_overlaps_derived_by_hand():
    a = torch.tensor([[0.0, 0.0, 4.0, 4.0]])
    b = torch.tensor([[2.0, 2.0, 6.0, 6.0], [1.0, 1.0, 3.0, 3.0], [4.0, 0.0, 8.0, 4.0], [2.0, 2.0, 2.0, 2.0]])
    assert box_iou(a, b)[0].tolist() == pytest.approx([4 / 28, 4 / 16, 0, 0])
    assert box_min_overlap(a, b)[0].tolist() == pytest.approx([4 / 16, 1, 0, 0])


def test_iou_agrees_with_torchvision():
    a, b = random_boxes(30, seed=0), random_boxes(20, seed=1)
    torch.testing.assert_close(box_iou(a, b), torchvision_iou(a, b))


@given(st.integers(0, 60), st.integers(0, 10_000), st.floats(0.05, 0.95))
def test_suppression_is_the_textbook_loop(count, seed, threshold):
    boxes = random_boxes(count, seed)
    generator = torch.Generator().manual_seed(seed)
    scores, group = torch.rand(count, generator=generator), torch.randint(0, 3, (count,), generator=generator)
    assert nms_min(boxes, scores, group, threshold).tolist() == greedy(boxes, scores, group, threshold, box_min_overlap)
    assert nms(boxes, scores, group, threshold).tolist() == greedy(boxes, scores, group, threshold, box_iou)


def test_shift_moves_each_corner_by_shares_of_the_box():
    boxes = torch.tensor([[10.0, 20.0, 30.0, 60.0]])
    offsets = torch.tensor([[0.1, -0.1, 0.5, 0.25]])
    assert shift_boxes(boxes, offsets).tolist() == [[12.0, 16.0, 40.0, 70.0]]


def test_square_keeps_the_centre_and_the_longer_side():
    boxes = torch.tensor([[10.0, 20.0, 30.0, 60.0], [0.0, 0.0, 6.0, 2.0]])
    assert square_boxes(boxes).tolist() == [[0.0, 20.0, 40.0, 60.0], [0.0, -2.0, 6.0, 4.0]]
