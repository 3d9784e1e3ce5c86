import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss
from torch import nn

from ferkit.methods.supervised import Supervised, SupervisedSettings
from ferkit.methods.views import Views, ViewSettings

LABELS = ["joy", None, "anger", "joy", "joy", "fear"]
NUMBERS = torch.tensor([2, -1, 0, 2, 2, 1])


class Flat(nn.Sequential):
    def __init__(self):
        super().__init__(nn.AdaptiveAvgPool2d(2), nn.Flatten())


def pictures(count, seed=0):
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def build(**settings):
    torch.manual_seed(0)
    return Supervised(Flat(), 12, SupervisedSettings(views=ViewSettings(size=16), **settings).for_labels(LABELS))


def one_view(label=NUMBERS):
    a = pictures(len(label))
    return Views(a, a, a.new_empty(0, *a.shape), label)


def test_loss_and_accuracy_equal_scikit_learns():
    method = build()
    figures = method(one_view())
    logits = method.classifier(method.backbone(pictures(6))).detach()
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
    method = build(copies=2)
    a, b = pictures(6), pictures(6, seed=1)
    both = method(Views(a, b, a.new_empty(0, *a.shape), NUMBERS))["loss"]
    single = build()
    each = [single(Views(v, v, v.new_empty(0, *v.shape), NUMBERS))["loss"] for v in (a, b)]
    torch.testing.assert_close(both, (each[0] + each[1]) / 2)


def test_balanced_softmax_knows_the_counts_of_the_face_set():
    plain, balanced = build(), build(balance="softmax")
    with torch.no_grad():
        plain.classifier.bias.add_(torch.tensor([1.0, 1.0, 3.0]).log())
    torch.testing.assert_close(balanced(one_view())["loss"], plain(one_view())["loss"])
