import pytest
import torch
from pydantic import ValidationError
from sklearn.metrics import accuracy_score, log_loss
from torch import nn

from ferkit.errors import TrainingError
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


def test_settings_are_completed_from_the_labels():
    settings = SupervisedSettings().for_labels(LABELS)
    assert (settings.classes, settings.class_counts) == (("anger", "fear", "joy"), (1, 1, 3))


def test_classes_that_were_set_keep_their_order():
    settings = SupervisedSettings(classes=("joy", "sadness", "anger")).for_labels(LABELS)
    assert (settings.classes, settings.class_counts) == (("joy", "sadness", "anger"), (3, 0, 1))


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


@pytest.mark.parametrize("copies", [1, 2])
def test_views_carry_the_labels(copies):
    crops = torch.randint(0, 256, (6, 32, 32, 3), dtype=torch.uint8)
    views = build(copies=copies).views({"crops": crops, "label": NUMBERS}, torch.Generator().manual_seed(0))
    assert views.label is NUMBERS
    assert torch.equal(views.a, views.b) == (copies == 1)


def test_balanced_softmax_knows_the_counts_of_the_face_set():
    plain, balanced = build(), build(balance="softmax")
    with torch.no_grad():
        plain.classifier.bias.add_(torch.tensor([1.0, 1.0, 3.0]).log())
    torch.testing.assert_close(balanced(one_view())["loss"], plain(one_view())["loss"])


def test_counts_are_no_part_of_the_checkpoint():
    assert build(balance="softmax").state_dict().keys() == build().state_dict().keys()


@pytest.mark.parametrize(
    ("classes", "labels", "says"),
    [
        ((), [None, None], "none of the 2 faces has one"),
        ((), ["joy", None, "joy"], "the faces have: joy"),
        (("happy", "sad"), LABELS, "labels of happy, sad and the faces have: anger, fear, joy"),
    ],
)
def test_labels_that_cannot_teach_are_told(classes, labels, says):
    with pytest.raises(TrainingError, match=says):
        SupervisedSettings(classes=classes).for_labels(labels)


def test_settings_without_classes_or_counts_are_told():
    with pytest.raises(TrainingError, match="set classes"):
        Supervised(Flat(), 12, SupervisedSettings())
    with pytest.raises(TrainingError, match="set class_counts"):
        Supervised(Flat(), 12, SupervisedSettings(classes=("a", "b"), balance="softmax"))


@pytest.mark.parametrize(
    "given", [{"classes": ("a", "b", "a")}, {"classes": ("a", "b"), "class_counts": (1,)}, {"balance": "weights"}]
)
def test_impossible_settings_are_refused(given):
    with pytest.raises(ValidationError):
        SupervisedSettings(**given)
