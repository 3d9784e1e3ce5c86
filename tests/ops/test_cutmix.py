import math

import pytest
import torch
import torch.nn.functional as F

from ferkit.ops.cutmix import cut_boxes, kept_share, mix_boxes, mixed_nt_xent_loss
from ferkit.ops.losses import nt_xent_loss
from samples import seeded, vectors


def test_boxes_have_their_area_and_lose_what_is_beyond_the_crop():
    boxes = cut_boxes(
        torch.tensor([0.25, 0.25, 0.0, 1.0]), torch.tensor([[0.0, 0.0], [1.0, -1.0], [0.3, 0.3], [0.0, 0.0]])
    )
    expected = [[-0.5, -0.5, 0.5, 0.5], [0.5, -1, 1, -0.5], [0.3, 0.3, 0.3, 0.3], [-1, -1, 1, 1]]
    torch.testing.assert_close(boxes, torch.tensor(expected))


def test_the_box_shows_the_other_face():
    faces, others = torch.zeros(2, 8, 8, 3, dtype=torch.uint8), torch.full((2, 8, 8, 3), 9, dtype=torch.uint8)
    mixed = mix_boxes(faces, others, torch.tensor([[-1.0, -1.0, 0.0, 0.5], [0.0, 0.0, 0.0, 0.0]]))
    assert mixed.dtype == torch.uint8
    assert (mixed[0, :6, :4] == 9).all()
    assert mixed[0].sum() == 6 * 4 * 3 * 9
    assert (mixed[1] == 0).all()


def test_kept_share_is_what_the_mixed_picture_keeps():
    """Of a picture of ones into which zeros are mixed, the weighted mean remains."""
    generator = seeded()
    weights = torch.rand(12, 20, generator=generator)
    boxes = cut_boxes(torch.rand(6, generator=generator), torch.rand(6, 2, generator=generator) * 2 - 1)
    ones = torch.ones(6, 12, 20, 3)
    kept = (mix_boxes(ones, torch.zeros_like(ones), boxes)[..., 0] * weights).sum((1, 2)) / weights.sum()
    torch.testing.assert_close(kept_share(boxes, weights), kept)
    assert 0.2 < kept.mean() < 0.9


@pytest.mark.parametrize("warps", [0, 3])
def test_unmixed_it_is_nt_xent(warps):
    a, b = vectors(5, 8), vectors(5, 8, seed=1)
    negatives = vectors(warps, 8, seed=2) if warps else None
    mixed = mixed_nt_xent_loss(a, b, torch.arange(5).roll(1), torch.ones(5), 0.2, negatives)
    torch.testing.assert_close(mixed, nt_xent_loss(a, b, 0.2, negatives))


def test_equals_a_loop_over_rows_even_where_a_face_is_mixed_into_several():
    a, b = vectors(4, 8), vectors(4, 8, seed=1)
    partner, share = torch.tensor([1, 0, 0, 0]), torch.tensor([0.3, 0.9, 0.5, 0.0])
    z = F.normalize(torch.cat([a, b]), dim=1)
    targets = torch.zeros(8, 8)
    for i in range(4):
        targets[4 + i, i] += share[i]
        targets[4 + i, partner[i]] += 1 - share[i]
    for i in range(4):
        column = targets[4:, i]
        targets[i, 4:] = column / column.sum() if column.sum() else 0
    rows = []
    for i in range(8):
        others = [j for j in range(8) if j != i]
        log_softmax = torch.log_softmax(z[i] @ z[others].T / 0.3, 0)
        rows.append(-(targets[i, others] * log_softmax).sum())
    assert targets[3].sum() == 0  # nobody shows it
    torch.testing.assert_close(mixed_nt_xent_loss(a, b, partner, share, 0.3), torch.stack(rows).mean())


def test_by_hand():
    """Two anchors at 0 and 90 degrees, their positives mixed half and half at 45: both are equally near to all."""
    a, middle = torch.eye(2), torch.full((2, 2), 0.5)
    loss = mixed_nt_xent_loss(a, middle, torch.tensor([1, 0]), torch.full((2,), 0.5), 1.0)
    near = math.exp(math.sqrt(0.5))
    anchor = -math.log(near / (2 * near + 1))  # sees two mixed ones at 45 and one anchor at 90
    mixed = -math.log(near / (2 * near + math.e))  # sees two anchors at 45 and the other mixed one on it
    assert loss.item() == pytest.approx((anchor + mixed) / 2, abs=1e-6)
