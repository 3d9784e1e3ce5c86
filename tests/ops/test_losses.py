import math

import pytest
import torch
from lightly.loss import NegativeCosineSimilarity, NTXentLoss

from ferkit.ops.losses import class_loss, info_nce_loss, nt_xent_loss, regression_loss


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
    a, b, queue = (vectors(4, 8, seed=seed).requires_grad_() for seed in range(3))
    (regression_loss(a, b) + info_nce_loss(a, b, queue, 0.2)).backward()
    assert a.grad is not None
    assert b.grad is None
    assert queue.grad is None


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


def test_info_nce_equals_lightly():
    query, key, queue = vectors(8, 16), vectors(8, 16, seed=1), vectors(24, 16, seed=2)
    oracle = NTXentLoss(0.2, memory_bank_size=(24, 16))
    oracle.memory_bank.bank.copy_(torch.nn.functional.normalize(queue, dim=1))
    torch.testing.assert_close(info_nce_loss(query, key, queue, 0.2), oracle(query, key))


def test_info_nce_by_hand():
    # The own key along the query, one key at a right angle: -log(e^2 / (e^2 + e^0)) at a temperature of a half.
    query = torch.tensor([[3.0, 0.0]])
    expected = math.log(1 + math.exp(-2))
    loss = info_nce_loss(query, 7 * query, torch.tensor([[0.0, 4.0]]), 0.5)
    assert loss.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("loss", [nt_xent_loss, lambda a, b, t: info_nce_loss(a, b, b, t)], ids=["nt_xent", "info_nce"])
def test_half_precision_takes_no_digits_from_a_contrast(loss):
    a, b = vectors(8, 16).bfloat16(), vectors(8, 16, seed=1).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(loss(a, b, 0.05), loss(a.float(), b.float(), 0.05))
    torch.testing.assert_close(loss(a, b, 0.05), loss(a.float(), b.float(), 0.05))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_class_loss_equals_torchs_over_the_known_rows(smoothing):
    logits, label = vectors(6, 3), torch.tensor([0, -1, 2, 1, -1, 0])
    oracle = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)
    torch.testing.assert_close(class_loss(logits, label, smoothing), oracle(logits[label >= 0], label[label >= 0]))


def test_class_loss_of_unknown_rows_is_zero():
    logits = vectors(4, 3).requires_grad_()
    loss = class_loss(logits, torch.full((4,), -1))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().max() == 0


def test_balanced_softmax_by_its_formula():
    """-log(n_y e^l_y / sum_c n_c e^l_c)."""
    logits, label, counts = vectors(5, 3), torch.tensor([0, 1, 2, 2, 0]), torch.tensor([10, 1, 500])
    weighed = counts * logits.exp()
    expected = -(weighed[torch.arange(5), label] / weighed.sum(1)).log().mean()
    torch.testing.assert_close(class_loss(logits, label, counts=counts), expected)


def test_balanced_softmax_of_even_counts_is_softmax():
    logits, label = vectors(5, 3), torch.tensor([0, 1, 2, 2, 0])
    torch.testing.assert_close(class_loss(logits, label, counts=torch.full((3,), 7)), class_loss(logits, label))


def test_balanced_softmax_takes_more_faces_than_half_precision_counts_to():
    logits, label, counts = vectors(2, 2).half(), torch.tensor([0, 1]), torch.tensor([134_415, 3_803])
    expected = class_loss(logits.float(), label, counts=counts)
    torch.testing.assert_close(class_loss(logits, label, counts=counts), expected)


def test_balanced_softmax_takes_a_class_without_faces():
    loss = class_loss(vectors(2, 3), torch.tensor([0, 1]), smoothing=0.1, counts=torch.tensor([5, 3, 0]))
    assert loss.isfinite()
