import math

import pytest
import torch
from lightly.loss import NTXentLoss
from pydantic import ValidationError
from sklearn.metrics import log_loss
from torch import nn

from ferkit.methods.crs_cont import CrsCont, CrsContSettings
from ferkit.methods.views import Views
from ferkit.ops.losses import supervised_contrastive_loss
from samples import Means, vectors

FINE = ["happiness", "anger", "sadness", "neutral", "surprise", "fear", None, "boredom"]
NUMBERS = torch.tensor([2, 0, 4, 3, 5, 1, -1, 2])
"""Of the labels of eight faces among FINE's five known ones, in alphabetical order, and one more happy face."""


def rows(count, dim=5, seed=0):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def build(**settings):
    torch.manual_seed(0)
    return CrsCont(Means(side=2), 12, CrsContSettings(views={"size": 16}, **settings).for_labels(FINE))


def views_of(label=NUMBERS, warped=0):
    a, b, *more = (vectors(len(label), 3, 16, 16, seed=number) for number in range(2 + warped))
    return Views(a, b, torch.stack(more) if more else a.new_empty(0, *a.shape), label)


def projections(method, views):
    """(2 + K, B, P) of length 1."""
    z = method.projector(method.backbone(torch.cat([views.a, views.b, *views.warped]))).detach()
    return nn.functional.normalize(z, dim=1).unflatten(0, (-1, len(views.a)))


def loop_loss(z, label, weights, tau, negatives=()):
    """The paper's equation, one number at a time."""
    z = [row / row.norm() for row in z]
    negatives = [row / row.norm() for row in negatives]
    known = [i for i in range(len(z)) if label[i] >= 0]
    total = 0.0
    for i in known:
        below = sum(math.exp(z[i] @ z[a] / tau) for a in known if a != i)
        below += sum(math.exp(z[i] @ n / tau) for n in negatives)
        positives = [p for p in known if p != i and label[p] == label[i]]
        inner = sum(math.log(math.exp(z[i] @ z[p] / tau) / below) for p in positives)
        total -= weights[label[i]] / len(positives) * inner
    return total / len(known)


@pytest.mark.parametrize("warped", [0, 2])
def test_the_contrast_alone_is_the_equation_over_both_views_with_warps_in_every_denominator(warped):
    method, views = build(classify=0, agree=0, warped=warped), views_of(warped=warped)
    a, b, *others = projections(method, views)
    coarse, figures = method.coarse_label(NUMBERS).repeat(2), method(views)
    expected = loop_loss(torch.cat([a, b]), coarse, [1, 0.5, 1, 1], 0.07, [row for warp in others for row in warp])
    assert figures["loss"].item() == pytest.approx(expected, rel=1e-4)
    assert figures.keys() == {"loss", "contrast", *(["gap"] if warped else [])}
    if warped:
        near, far = (a * b).sum(1).mean(), torch.stack([(a * w).sum(1).mean() for w in others]).mean()
        assert figures["gap"].item() == pytest.approx((near - far).item(), abs=1e-5)


def test_loss_of_four_right_angles_by_hand():
    """Two classes on two axes, tau 1: every anchor has one positive at cosine 1 and two others at 0."""
    z = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 0.5]])
    label, log_share = torch.tensor([0, 1, 0, 1]), math.log(math.e / (math.e + 2))
    even = supervised_contrastive_loss(z, label, torch.ones(2), 1.0)
    uneven = supervised_contrastive_loss(z, label, torch.tensor([1.0, 0.5]), 1.0)
    assert even.item() == pytest.approx(-log_share)
    assert uneven.item() == pytest.approx(-(1 + 0.5) / 2 * log_share)


@pytest.mark.parametrize("label", [[-1, -1, -1], [0, -1, 1]])
def test_what_has_no_positive_teaches_nothing(label):
    z = rows(3).requires_grad_()
    loss = supervised_contrastive_loss(z, torch.tensor(label), torch.ones(2), 0.1)
    loss.backward()
    assert loss.item() == 0
    assert z.grad.abs().max() == 0


@pytest.mark.parametrize("written", ["happy", "Happiness", "HAPPY ", "happiness"])
def test_a_label_is_known_however_it_is_written(written):
    settings = CrsContSettings().for_labels([written, "Sad", "fearful", "angry", "disgusted", None])
    assert settings.coarse_number(written) == 0
    assert settings.classes == tuple(sorted([written, "Sad", "fearful", "angry", "disgusted"]))


def test_further_terms_equal_independent_implementations():
    method, views = build(), views_of()
    z = projections(method, views).double()
    weight, bias = (part.detach().double() for part in (method.classifier.weight, method.classifier.bias))
    coarse, figures = method.coarse_label(NUMBERS), method(views)
    known, (shares, others) = coarse >= 0, (z @ weight.T + bias).softmax(2)
    of_classes = log_loss(coarse[known].numpy(), shares[known].numpy(), labels=range(4))
    assert figures["classify"].item() == pytest.approx(of_classes, rel=1e-5)
    torch.testing.assert_close(figures["agree"], NTXentLoss(temperature=0.07)(shares.float(), others.float()))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"balance": "coarse"}, [2, 1, 1, 2 / 3, 2 / 3, 2 / 3, 1, 1]),
        ({"balance": "coarse", "agree": 0}, [2, 1, 1, 2 / 3, 2 / 3, 2 / 3, 0, 0]),
        ({}, [1] * 8),
        ({"agree": 0}, [1, 1, 1, 1, 1, 1, 0, 0]),
    ],
)
def test_how_often_faces_are_drawn_by_hand(settings, expected):
    """Coarse classes of 1, 2 and 3 faces, none of surprise, and two unknown faces: six known, so two of each class."""
    label = torch.tensor([2, 0, 1, 3, 3, 3, -1, -1])
    torch.testing.assert_close(build(**settings).face_weights(label), torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize(
    "coarse",
    [
        [{"name": "a", "labels": ["x"]}],
        [{"name": "a", "labels": ["x"]}, {"name": "a", "labels": ["y"]}],
        [{"name": "a", "labels": ["happy"]}, {"name": "b", "labels": ["happiness"]}],
        [{"name": "a", "labels": ["x"]}, {"name": "b", "labels": []}],
    ],
)
def test_maps_that_say_nothing_or_two_things_are_refused(coarse):
    with pytest.raises(ValidationError, match="coarse"):
        CrsContSettings(coarse=coarse)
