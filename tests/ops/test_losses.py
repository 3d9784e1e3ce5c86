import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ferkit.evaluation.affect import concordance
from ferkit.ops.losses import (
    agreement_contrast_loss,
    alignment,
    class_loss,
    concordance_loss,
    covariance_loss,
    info_nce_loss,
    nt_xent_loss,
    regression_loss,
    relation_loss,
    share_loss,
    spread,
    supervised_contrastive_loss,
    uniformity,
    variance_loss,
)
from samples import at, vectors


@pytest.mark.parametrize(("angle_deg", "expected"), [(0, 0.0), (60, 1.0), (90, 2.0), (180, 4.0)])
def test_regression_loss_depends_only_on_angle(angle_deg, expected):
    assert regression_loss(3.0 * at(0), at(angle_deg)).item() == pytest.approx(expected, abs=1e-6)  # whatever the norm


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


def test_negatives_are_no_anchors():
    """Every anchor sees the negatives, and they add no rows of their own: the oracle is a loop over anchors."""
    a, b, w = vectors(5, 8), vectors(5, 8, seed=1), vectors(7, 8, seed=2)
    z = F.normalize(torch.cat([a, b, w]), dim=1)
    rows = []
    for i in range(10):
        others = [j for j in range(17) if j != i]
        similarity = torch.exp(z[i] @ z.T / 0.2)
        rows.append(-torch.log(similarity[(i + 5) % 10] / similarity[others].sum()))
    torch.testing.assert_close(nt_xent_loss(a, b, 0.2, w), torch.stack(rows).mean())


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


def test_balanced_softmax_by_its_formula():
    """-log(n_y e^l_y / sum_c n_c e^l_c); classes may lack faces, or have more than half precision counts, 65,504."""
    logits, label, counts = vectors(5, 3), torch.tensor([0, 1, 2, 2, 0]), torch.tensor([10, 1, 500])
    weighed = counts * logits.exp()
    expected = -(weighed[torch.arange(5), label] / weighed.sum(1)).log().mean()
    torch.testing.assert_close(class_loss(logits, label, counts=counts), expected)
    assert class_loss(logits[:2], label[:2], smoothing=0.1, counts=torch.tensor([5, 3, 0])).isfinite()
    many = {"label": label[:2], "counts": torch.tensor([134_415, 3_803, 9])}
    half = logits[:2].half()
    torch.testing.assert_close(class_loss(half, **many), class_loss(half.float(), **many))


def test_spared_rows_leave_the_denominator():
    """One face's views are equal, the other's at right angles; spared, the stranger no longer counts: log 1 = 0."""
    a = torch.tensor([[1.0, 0], [0, 1.0]])
    spared = torch.zeros(4, 4, dtype=torch.bool)
    spared[0, [1, 3]] = spared[2, [1, 3]] = True
    row = math.log(1 + 2 / math.e)  # of the other face, whose strangers stay
    assert nt_xent_loss(a, a, 1.0, spared=spared).item() == pytest.approx(row / 2, rel=1e-6)


def test_whole_votes_are_labels():
    """Their share loss is the cross-entropy, their agreement supervised contrast."""
    logits, label, z = vectors(6, 4), torch.tensor([0, 3, 1, 0, 3, 1]), vectors(6, 5, seed=1)
    torch.testing.assert_close(share_loss(logits, F.one_hot(label, 4).float()), F.cross_entropy(logits, label))
    wanted = supervised_contrastive_loss(z, label, torch.ones(4), 0.3)
    torch.testing.assert_close(agreement_contrast_loss(z, F.one_hot(label, 4).float(), 0.3), wanted)


def test_share_loss_weighs_rows_by_their_votes():
    """Even logits cost log 2 a vote; without votes nothing."""
    shares = torch.tensor([[0.5, 0.25], [0.0, 0.0]])
    assert share_loss(torch.zeros(2, 2), shares).item() == pytest.approx(math.log(2))
    assert share_loss(torch.zeros(2, 2), torch.zeros(2, 2)).item() == 0


def test_agreement_by_hand():
    """Three orthogonal faces, tau 1: each softmax is even over two others, so log 2 whoever agrees; one agrees not."""
    shares = torch.tensor([[0.5, 0.5, 0], [0, 1.0, 0], [0, 0, 1.0]])
    assert agreement_contrast_loss(torch.eye(3), shares, 1.0).item() == pytest.approx(math.log(2), rel=1e-6)


def test_variance_and_covariance_losses_by_hand():
    """Deviations sqrt(2) and 0: only the second costs, 1 - sqrt(1e-4). Covariances [[2, 4], [4, 8]]: 2 x 16 over 2."""
    assert variance_loss(torch.tensor([[1.0, 7.0], [-1.0, 7.0]])).item() == pytest.approx(0.99 / 2, rel=1e-5)
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


CORNERS = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [0.0, -5.0]])


@pytest.mark.parametrize(("angle_deg", "expected"), [(0, 0.0), (60, 1.0), (90, 2.0), (180, 4.0)])
def test_alignment_is_the_squared_chord(angle_deg, expected):
    assert alignment(7 * at(0), at(angle_deg)).item() == pytest.approx(expected, abs=1e-6)


def test_uniformity_of_the_corners_of_a_square():
    # Four sides of squared length 2 and two diagonals of 4, norms not counting.
    expected = math.log((4 * math.exp(-4) + 2 * math.exp(-8)) / 6)
    assert uniformity(CORNERS).item() == pytest.approx(expected, abs=1e-6)


def test_spread_is_one_about_the_origin_and_what_the_mean_leaves():
    assert spread(CORNERS).item() == pytest.approx(1, abs=1e-6)
    # The mean of these two unit vectors is (0.5, 0.5), of squared length 0.5.
    assert spread(CORNERS[:2]).item() == pytest.approx(math.sqrt(0.5), abs=1e-6)
