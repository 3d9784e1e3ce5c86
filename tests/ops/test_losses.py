import math

import pytest
import torch
from lightly.loss import NegativeCosineSimilarity, NTXentLoss

from ferkit.ops.losses import nt_xent_loss, regression_loss, warp_hinge_loss


def vectors(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("angle_deg", "expected"), [(0, 0.0), (60, 1.0), (90, 2.0), (180, 4.0)])
def test_regression_loss_depends_only_on_angle(angle_deg, expected):
    rad = torch.deg2rad(torch.tensor(float(angle_deg)))
    prediction = 3.0 * torch.tensor([[1.0, 0.0]])  # norm must not matter
    target = torch.stack([rad.cos(), rad.sin()])[None]
    assert regression_loss(prediction, target).item() == pytest.approx(expected, abs=1e-6)


def test_regression_loss_equals_lightly():
    a, b = vectors(8, 16), vectors(8, 16, seed=1)
    expected = 2 + 2 * NegativeCosineSimilarity()(a, b)
    torch.testing.assert_close(regression_loss(a, b), expected)


def test_targets_get_no_gradient():
    a, b, w = (vectors(4, 8, seed=seed).requires_grad_() for seed in range(3))
    (regression_loss(a, b) + warp_hinge_loss(a, b, w[None], 0.5)).backward()
    assert a.grad is not None
    assert b.grad is None
    assert w.grad is None


@pytest.mark.parametrize("temperature", [0.07, 0.2, 1.0])
def test_nt_xent_equals_lightly(temperature):
    a, b = vectors(8, 16), vectors(8, 16, seed=1)
    torch.testing.assert_close(nt_xent_loss(a, b, temperature), NTXentLoss(temperature)(a, b))


def test_nt_xent_by_hand():
    # One pair at a right angle to one negative: -log(e^1 / (e^1 + e^0)) for both anchors.
    a = b = torch.tensor([[2.0, 0.0]])
    negative = torch.tensor([[0.0, 5.0]])
    expected = math.log(1 + math.exp(-1))
    assert nt_xent_loss(a, b, 1.0, negative).item() == pytest.approx(expected, abs=1e-6)


def test_negatives_are_no_anchors():
    """Every anchor sees the negatives, and they add no rows of their own: the oracle is a loop over anchors."""
    a, b, w = vectors(5, 8), vectors(5, 8, seed=1), vectors(7, 8, seed=2)
    z = torch.nn.functional.normalize(torch.cat([a, b, w]), dim=1)
    rows = []
    for i in range(10):
        others = [j for j in range(17) if j != i]
        similarity = torch.exp(z[i] @ z.T / 0.2)
        rows.append(-torch.log(similarity[(i + 5) % 10] / similarity[others].sum()))
    torch.testing.assert_close(nt_xent_loss(a, b, 0.2, w), torch.stack(rows).mean())


@pytest.mark.parametrize(
    ("near_deg", "far_deg", "expected"),
    [(0, 90, 0.0), (60, 60, 0.3), (90, 0, 1.3), (60, 90, 0.0)],
)
def test_warp_hinge_by_hand(near_deg, far_deg, expected):
    def at(degrees):
        rad = math.radians(degrees)
        return torch.tensor([[math.cos(rad), math.sin(rad)]])

    loss = warp_hinge_loss(2 * at(0), at(near_deg), at(far_deg)[None], margin=0.3)
    assert loss.item() == pytest.approx(expected, abs=1e-6)
