import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss

from ferkit.methods.supervised import Supervised, SupervisedSettings
from ferkit.methods.views import Views, ViewSettings
from samples import Means, two_views, vectors

LABELS = ["joy", None, "anger", "joy", "joy", "fear"]
NUMBERS = torch.tensor([2, -1, 0, 2, 2, 1])


def build(**settings):
    torch.manual_seed(0)
    settings = SupervisedSettings(views=ViewSettings(size=16), **settings).for_labels(LABELS)
    return Supervised(Means(side=2), 12, settings)


def one_view(label=NUMBERS, seed=0):
    a = vectors(len(label), 3, 16, 16, seed=seed)
    return Views(a, a, a.new_empty(0, *a.shape), label)


def test_loss_and_accuracy_equal_scikit_learns():
    method = build()
    figures = method(one_view())
    logits = method.classifier(method.backbone(one_view().a)).detach()
    known = NUMBERS >= 0
    expected = log_loss(NUMBERS[known].numpy(), logits[known].double().softmax(1).numpy(), labels=[0, 1, 2])
    assert figures["loss"].item() == pytest.approx(expected, rel=1e-5)
    assert figures["accuracy"].item() == pytest.approx(accuracy_score(NUMBERS[known], logits[known].argmax(1)))


def test_a_batch_without_labels_teaches_nothing():
    method = build()
    figures = method(one_view(torch.full((6,), -1)))
    figures["loss"].backward()
    assert figures["loss"].item() == figures["accuracy"].item() == 0
    assert method.classifier.weight.grad.abs().max() == 0


def test_two_copies_count_alike():
    views, single = two_views(6, label=NUMBERS), build()
    each = [single(Views(v, v, views.warped, NUMBERS))["loss"] for v in (views.a, views.b)]
    torch.testing.assert_close(build(copies=2)(views)["loss"], (each[0] + each[1]) / 2)


def test_balanced_softmax_knows_the_counts_of_the_face_set():
    plain, balanced = build(), build(balance="softmax")
    with torch.no_grad():
        plain.classifier.bias.add_(torch.tensor([1.0, 1.0, 3.0]).log())
    torch.testing.assert_close(balanced(one_view())["loss"], plain(one_view())["loss"])
