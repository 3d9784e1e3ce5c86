import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightly.loss import NegativeCosineSimilarity, NTXentLoss

from ferkit.evaluation.affect import concordance
from ferkit.ops.losses import (
    agreement_contrast_loss,
    class_loss,
    concordance_loss,
    covariance_loss,
    info_nce_loss,
    nt_xent_loss,
    regression_loss,
    relation_loss,
    share_loss,
    supervised_contrastive_loss,
    variance_loss,
)


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


def test_relations_are_the_cosines_of_pairs():
    """Of the three pairs the target has cosines of 1, 0 and 0, the vectors of 0, 0 and -1."""
    vectors = torch.tensor([[2.0, 0.0], [0.0, 1.0], [-3.0, 0.0]])
    target = torch.tensor([[1.0, 0.0, 0.0], [5.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    torch.testing.assert_close(relation_loss(vectors, target), torch.tensor(2 / 3))


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


def test_balanced_softmax_takes_more_faces_than_half_precision_counts_to():
    logits, label, counts = vectors(2, 2).half(), torch.tensor([0, 1]), torch.tensor([134_415, 3_803])
    expected = class_loss(logits.float(), label, counts=counts)
    torch.testing.assert_close(class_loss(logits, label, counts=counts), expected)


def test_balanced_softmax_takes_a_class_without_faces():
    loss = class_loss(vectors(2, 3), torch.tensor([0, 1]), smoothing=0.1, counts=torch.tensor([5, 3, 0]))
    assert loss.isfinite()


def test_spared_rows_leave_the_denominator():
    """One face's views are equal, the other's at right angles; spared, the stranger no longer counts: log 1 = 0."""
    a = torch.tensor([[1.0, 0], [0, 1.0]])
    spared = torch.zeros(4, 4, dtype=torch.bool)
    spared[0, [1, 3]] = spared[2, [1, 3]] = True
    row = math.log(1 + 2 / math.e)  # of the other face, whose strangers stay
    assert nt_xent_loss(a, a, 1.0, spared=spared).item() == pytest.approx(row / 2, rel=1e-6)


def test_share_loss_of_whole_votes_is_cross_entropy():
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    label = torch.tensor([0, 3, 1, 1, 2, 0])
    shares = F.one_hot(label, 4).float()
    torch.testing.assert_close(share_loss(logits, shares), F.cross_entropy(logits, label))


def test_share_loss_weighs_rows_by_their_votes():
    """Even logits cost log 2 a vote; without votes nothing."""
    shares = torch.tensor([[0.5, 0.25], [0.0, 0.0]])
    assert share_loss(torch.zeros(2, 2), shares).item() == pytest.approx(math.log(2))
    assert share_loss(torch.zeros(2, 2), torch.zeros(2, 2)).item() == 0


def test_agreement_of_whole_votes_is_supcon():
    z = torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    label = torch.tensor([0, 1, 0, 2, 1, 2])
    wanted = supervised_contrastive_loss(z, label, torch.ones(3), 0.3)
    torch.testing.assert_close(agreement_contrast_loss(z, F.one_hot(label, 3).float(), 0.3), wanted)


def test_agreement_by_hand():
    """Three orthogonal faces, tau 1: each softmax is even over two others, so log 2 whoever agrees; one agrees not."""
    shares = torch.tensor([[0.5, 0.5, 0], [0, 1.0, 0], [0, 0, 1.0]])
    assert agreement_contrast_loss(torch.eye(3), shares, 1.0).item() == pytest.approx(math.log(2), rel=1e-6)


def test_variance_loss_by_hand():
    """Deviations of sqrt(2) and 0: only the second dimension costs, 1 - sqrt(1e-4)."""
    rows = torch.tensor([[1.0, 7.0], [-1.0, 7.0]])
    assert variance_loss(rows).item() == pytest.approx(0.99 / 2, rel=1e-5)


def test_covariance_loss_by_hand():
    """Covariance matrix [[2, 4], [4, 8]] of two rows: 2 x 16 over 2 dimensions."""
    assert covariance_loss(torch.tensor([[1.0, 2.0], [-1.0, -2.0]])).item() == pytest.approx(16)


def test_small_covariances_do_not_drown_in_the_variances():
    """Columns of exact covariances: 64 of variance 1, two of which share 1e-3, hence 2 x 1e-6 over 64."""
    noise = torch.cat([torch.ones(512, 1), vectors(512, 64)], 1).double()
    rows = torch.linalg.qr(noise)[0][:, 1:] * 511**0.5
    rows[:, 1] += 1e-3 * rows[:, 0]
    # 64 x 63 covariances, each rounded by about 1e-8, add some 1e-14 to a sum of 2e-6, and 2 x 1e-3 x 1e-8 each.
    assert covariance_loss(rows.float()).item() == pytest.approx(2e-6 / 64, rel=1e-3)


def test_concordance_loss_by_hand():
    """Of (0, 1, 2) against itself 0; against itself moved by 1: cov 2/3, 1 - (4/3) / (4/3 + 1); turned round: 2."""
    true = torch.tensor([0.0, 1.0, 2.0])
    predicted = torch.stack([true, true + 1, 2 - true], 1)
    losses = [concordance_loss(column[:, None], true[:, None]).item() for column in predicted.T]
    assert losses == pytest.approx([0, 3 / 7, 2])
    together = concordance_loss(predicted, true[:, None].expand(-1, 3))
    assert together.item() == pytest.approx(sum(losses) / 3)


def test_concordance_loss_is_one_less_the_coefficient_far_from_zero_too():
    """A large common offset costs no digits: moments are taken about the means."""
    random = np.random.default_rng(0)
    true, predicted = 1000 + random.normal(size=(2, 50, 2))
    expected = 1 - concordance(true, predicted).mean()
    found = concordance_loss(torch.tensor(predicted, dtype=torch.float32), torch.tensor(true, dtype=torch.float32))
    assert found.item() == pytest.approx(expected, abs=1e-3)  # values of float32 near 1000 have steps of 6e-5


def test_concordance_loss_without_any_spread_has_a_gradient():
    predicted = torch.zeros(4, 1, requires_grad=True)
    loss = concordance_loss(predicted, torch.zeros(4, 1))
    loss.backward()
    assert loss.item() == 1
    assert predicted.grad.isfinite().all()
