import math

import pytest
import torch
from lightly.loss import NTXentLoss
from pydantic import ValidationError
from sklearn.metrics import log_loss
from torch import nn

from ferkit.errors import TrainingError
from ferkit.methods.crs_cont import CoarseClass, CrsCont, CrsContSettings
from ferkit.methods.views import Views
from ferkit.ops.losses import nt_xent_loss, supervised_contrastive_loss
from ferkit.pretraining.recipe import resolve_recipe
from ferkit.training.schedule import learning_rate

FINE = ["happiness", "anger", "sadness", "neutral", "surprise", "fear", None, "boredom"]
NUMBERS = torch.tensor([2, 0, 4, 3, 5, 1, -1, 2])
"""Of the labels of eight faces among FINE's five known ones, in alphabetical order, and one more happy face."""


class Flat(nn.Sequential):
    def __init__(self):
        super().__init__(nn.AdaptiveAvgPool2d(2), nn.Flatten())


def rows(count, dim=5, seed=0):
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pictures(count, seed=0):
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def build(**settings):
    torch.manual_seed(0)
    return CrsCont(Flat(), 12, CrsContSettings(views={"size": 16}, **settings).for_labels(FINE))


def views_of(label=NUMBERS, warped=0, seed=0):
    a, b, *more = (pictures(len(label), seed + number) for number in range(2 + warped))
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


def test_loss_of_four_right_angles_by_hand():
    """Two classes on two axes, tau 1: every anchor has one positive at cosine 1 and two others at 0."""
    z = torch.tensor([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0], [0.0, 0.5]])
    label, log_share = torch.tensor([0, 1, 0, 1]), math.log(math.e / (math.e + 2))
    even = supervised_contrastive_loss(z, label, torch.ones(2), 1.0)
    uneven = supervised_contrastive_loss(z, label, torch.tensor([1.0, 0.5]), 1.0)
    assert even.item() == pytest.approx(-log_share)
    assert uneven.item() == pytest.approx(-(1 + 0.5) / 2 * log_share)


def test_loss_of_three_of_a_class_by_hand():
    """Cosines 1, 0, 0 among three of one class, tau 0.5: two anchors see e^2 and 1, the third 1 and 1."""
    z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    of_two = -(2 - math.log(math.e**2 + 1) + 0 - math.log(math.e**2 + 1)) / 2
    expected = (2 * of_two + math.log(2)) / 3
    found = supervised_contrastive_loss(z, torch.zeros(3, dtype=torch.int64), torch.ones(1), 0.5)
    assert found.item() == pytest.approx(expected)


def test_a_further_negative_by_hand():
    """One pair at cosine 1 and a negative at -1: log share e / (e + 1/e)."""
    z, away = torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([[-4.0, 0.0]])
    found = supervised_contrastive_loss(z, torch.zeros(2, dtype=torch.int64), torch.ones(1), 1.0, away)
    assert found.item() == pytest.approx(math.log(1 + math.exp(-2)))


@pytest.mark.parametrize("tau", [0.07, 0.5])
@pytest.mark.parametrize("negatives", [0, 5])
def test_loss_equals_the_equation_in_loops(tau, negatives):
    z, label, weights = rows(14), torch.tensor([0, 1, 2, 0, -1, 1, 1] * 2), [1.0, 0.5, 2.0]
    others = rows(negatives, seed=1)
    found = supervised_contrastive_loss(z, label, torch.tensor(weights), tau, others if negatives else None)
    assert found.item() == pytest.approx(loop_loss(z, label, weights, tau, others), rel=1e-5)


def test_with_a_class_for_each_face_it_is_nt_xent():
    z = rows(12).float()
    found = supervised_contrastive_loss(z, torch.arange(6).repeat(2), torch.ones(6), 0.1)
    torch.testing.assert_close(found, nt_xent_loss(*z.chunk(2), 0.1))
    torch.testing.assert_close(found, NTXentLoss(temperature=0.1)(*z.chunk(2)))


def test_gradient_is_that_of_the_equation():
    z = rows(6)
    label, weights, step = torch.tensor([0, 1, -1, 0, 1, -1]), [1.0, 0.5], 1e-5
    asked = z.clone().requires_grad_()
    supervised_contrastive_loss(asked, label, torch.tensor(weights), 0.5).backward()
    by_difference = torch.zeros_like(z)
    for place in range(z.numel()):
        up, down = z.clone(), z.clone()
        up.view(-1)[place] += step
        down.view(-1)[place] -= step
        change = loop_loss(up, label, weights, 0.5) - loop_loss(down, label, weights, 0.5)
        by_difference.view(-1)[place] = change / (2 * step)
    torch.testing.assert_close(asked.grad, by_difference, atol=1e-6, rtol=1e-4)
    assert asked.grad[label < 0].abs().max() == 0


@pytest.mark.parametrize("label", [[-1, -1, -1], [0, -1, 1]])
def test_what_has_no_positive_teaches_nothing(label):
    z = rows(3).requires_grad_()
    loss = supervised_contrastive_loss(z, torch.tensor(label), torch.ones(2), 0.1)
    loss.backward()
    assert loss.item() == 0
    assert z.grad.abs().max() == 0


def test_the_papers_classes_and_weights():
    method = build()
    assert method.settings.classes == ("anger", "fear", "happiness", "neutral", "sadness", "surprise")
    assert method.coarse_label(NUMBERS).tolist() == [0, 1, 1, 2, 3, 1, -1, 0]
    assert method.weights.tolist() == [1, 0.5, 1, 1]


@pytest.mark.parametrize("written", ["happy", "Happiness", "HAPPY ", "happiness"])
def test_a_label_is_known_however_it_is_written(written):
    settings = CrsContSettings().for_labels([written, "Sad", "fearful", "angry", "disgusted", None])
    assert settings.coarse_number(written) == 0
    assert settings.classes == tuple(sorted([written, "Sad", "fearful", "angry", "disgusted"]))


def test_classes_that_were_set_leave_the_others_out():
    settings = CrsContSettings(classes=("happiness", "fear")).for_labels(FINE)
    assert settings.classes == ("happiness", "fear")


def test_another_map_takes_other_labels():
    coarse = (CoarseClass(name="open", labels=("yawn", "surprised")), CoarseClass(name="shut", labels=("calm",)))
    settings = CrsContSettings(coarse=coarse).for_labels(["calm", "surprise", "yawn", "happiness"])
    assert [settings.coarse_number(label) for label in settings.classes] == [1, 0, 0]


def test_the_contrast_alone_is_the_equation_over_both_views():
    method, views = build(classify=0, agree=0), views_of()
    z, coarse = projections(method, views).flatten(0, 1), method.coarse_label(NUMBERS).repeat(2)
    figures = method(views)
    assert figures["loss"].item() == pytest.approx(loop_loss(z, coarse, [1, 0.5, 1, 1], 0.07), rel=1e-4)
    assert figures.keys() == {"loss", "contrast"}


def test_warps_join_every_denominator():
    method, views = build(classify=0, agree=0, warped=2), views_of(warped=2)
    a, b, *warped = projections(method, views)
    coarse, figures = method.coarse_label(NUMBERS).repeat(2), method(views)
    expected = loop_loss(torch.cat([a, b]), coarse, [1, 0.5, 1, 1], 0.07, torch.cat(warped))
    assert figures["loss"].item() == pytest.approx(expected, rel=1e-4)
    near, far = (a * b).sum(1).mean(), torch.stack([(a * w).sum(1).mean() for w in warped]).mean()
    assert figures["gap"].item() == pytest.approx((near - far).item(), abs=1e-5)


def test_further_terms_equal_independent_implementations():
    method, views = build(), views_of()
    z = projections(method, views).double()
    weight, bias = (part.detach().double() for part in (method.classifier.weight, method.classifier.bias))
    coarse, figures = method.coarse_label(NUMBERS), method(views)
    known, (shares, others) = coarse >= 0, (z @ weight.T + bias).softmax(2)
    of_classes = log_loss(coarse[known].numpy(), shares[known].numpy(), labels=range(4))
    assert figures["classify"].item() == pytest.approx(of_classes, rel=1e-5)
    torch.testing.assert_close(figures["agree"], NTXentLoss(temperature=0.07)(shares.float(), others.float()))


@pytest.mark.parametrize(("classify", "agree"), [(1.0, 0.4), (0.3, 0.0), (0.0, 2.0), (0.0, 0.0)])
def test_each_term_has_its_weight_and_0_leaves_it_out(classify, agree):
    all_terms, some = build()(views_of()), build(classify=classify, agree=agree)(views_of())
    expected = all_terms["contrast"] + classify * all_terms["classify"] + agree * all_terms["agree"]
    torch.testing.assert_close(some["loss"], expected)
    assert ("classify" in some, "agree" in some) == (classify > 0, agree > 0)


def test_faces_of_unknown_label_count_in_the_agreement_alone():
    views = views_of()
    known = NUMBERS >= 0
    fewer = Views(views.a[known], views.b[known], views.warped[:, known], NUMBERS[known])
    figures, without = build().eval()(views), build().eval()(fewer)
    torch.testing.assert_close(figures["contrast"], without["contrast"])
    torch.testing.assert_close(figures["classify"], without["classify"])
    assert figures["agree"] > without["agree"]


def test_the_defaults_are_the_papers_and_its_codes():
    recipe = resolve_recipe("crs-cont", {}, {}, faces=0, faces_sha256="")
    settings, training = recipe.settings, recipe.training
    assert (settings.balance, settings.classify, settings.agree, settings.projection) == ("none", 1, 0.4, 128)
    views = settings.views
    assert (views.size, views.scale[0] ** 2, views.scale[1]) == (224, pytest.approx(0.5, abs=1e-3), 1)
    assert (views.jitter, views.brightness, views.contrast, views.saturation, views.hue) == (0.8, 0.4, 0.4, 0.4, 0.1)
    assert (views.flip, views.gray, views.blur, views.rotation) == (0.5, 0.2, 0, 0)
    assert (training.epochs, training.batch_size, training.lr, training.momentum) == (100, 128, 0.5, 0.9)
    step_lr = torch.optim.lr_scheduler.StepLR(torch.optim.SGD([torch.zeros(1)], lr=0.5), 20, 0.5)
    for epoch in range(100):
        found = learning_rate(7 * epoch, 700, training.lr, training.warmup, training.milestones)
        assert found == pytest.approx(step_lr.get_last_lr()[0])
        step_lr.optimizer.step()
        step_lr.step()


def test_views_of_a_face_and_of_its_warps():
    crops = torch.randint(0, 256, (3, 128, 128, 3), dtype=torch.uint8)
    landmarks = torch.tensor([[43.5, 43.5], [83.5, 43.5], [63.5, 66.0], [46.9, 89.7], [80.1, 89.7]]).expand(3, -1, -1)
    batch = {"crops": crops, "label": NUMBERS[:3], "landmarks": landmarks}
    still = {"scale": (1, 1), "aspect": (1, 1), "rotation": 0, "flip": 0, "jitter": 0, "gray": 0, "blur": 0}
    settings = CrsContSettings(warped=2, views={"size": 16, **still}).for_labels(FINE)
    views = CrsCont(Flat(), 12, settings).views(batch, torch.Generator().manual_seed(0))
    assert torch.equal(views.a, views.b)
    assert views.warped.shape == (2, 3, 3, 16, 16)
    assert all(not torch.allclose(warp, views.a) for warp in views.warped)
    assert not torch.allclose(*views.warped)
    assert views.label is batch["label"]


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
    ("labels", "says"),
    [
        ([None, None], "none of the 2 faces has one"),
        (["anger", "fear", None], "the faces have: anger, fear"),
        (["boredom", "happiness"], "the faces have: boredom, happiness"),
    ],
)
def test_labels_that_cannot_teach_are_told(labels, says):
    with pytest.raises(TrainingError, match=says):
        CrsContSettings().for_labels(labels)


def test_settings_without_classes_are_told():
    with pytest.raises(TrainingError, match="set classes"):
        CrsCont(Flat(), 12, CrsContSettings())


@pytest.mark.parametrize(
    ("coarse", "says"),
    [
        ([{"name": "a", "labels": ["x"]}], "at least 2"),
        ([{"name": "a", "labels": ["x"]}, {"name": "a", "labels": ["y"]}], "coarse names 'a' twice"),
        (
            [{"name": "a", "labels": ["happy"]}, {"name": "b", "labels": ["happiness"]}],
            "names .happiness. twice",
        ),
        ([{"name": "a", "labels": ["x"]}, {"name": "b", "labels": []}], "labels"),
        ([{"name": "a", "labels": ["x"]}, {"name": "b", "labels": ["y"], "weight": -1}], "weight"),
    ],
)
def test_maps_that_say_nothing_or_two_things_are_refused(coarse, says):
    with pytest.raises(ValidationError, match=says):
        CrsContSettings(coarse=coarse)
