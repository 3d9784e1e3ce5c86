import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, f1_score, recall_score
from torchmetrics.functional.classification import multiclass_f1_score

from ferkit.evaluation.classification import FIGURES, classification_figure, classification_of


def random_case(seed, count=60):
    random = np.random.default_rng(seed)
    true = random.choice(list("abcd"), size=count, p=[0.6, 0.2, 0.15, 0.05])
    return true.tolist(), np.where(random.random(count) < 0.5, true, random.choice(list("abcd"), size=count)).tolist()


def test_four_faces_by_hand():
    # a: one right, one called b, one without an answer; b: right. F1: a 2/(2+2+0), b 2/(2+0+1).
    result = classification_of(["a", "a", "a", "b"], ["a", "b", None, "b"], known={"a", "b"})
    assert result.classes == ("a", "b")
    assert result.confusion == ((1, 1), (0, 1))
    assert result.unanswered == (1, 0)
    assert (result.accuracy, result.coverage, result.count) == (0.5, 0.75, 4)
    assert result.recall == pytest.approx({"a": 1 / 3, "b": 1})
    assert result.balanced_accuracy == pytest.approx(2 / 3)
    assert result.macro_f1 == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert result.unseen == {}


@pytest.mark.parametrize("seed", range(4))
def test_scikit_learn_and_torchmetrics_agree(seed):
    true, predicted = random_case(seed)
    result = classification_of(true, predicted)
    classes = list(result.classes)
    assert result.accuracy == pytest.approx(accuracy_score(true, predicted))
    assert result.balanced_accuracy == pytest.approx(balanced_accuracy_score(true, predicted))
    assert result.macro_f1 == pytest.approx(f1_score(true, predicted, average="macro"))
    assert np.array_equal(result.confusion, confusion_matrix(true, predicted, labels=classes))
    assert list(result.recall.values()) == pytest.approx(recall_score(true, predicted, average=None))
    numbers = [torch.tensor([classes.index(label) for label in labels]) for labels in (predicted, true)]
    assert result.macro_f1 == pytest.approx(float(multiclass_f1_score(*numbers, len(classes), average="macro")))


def test_a_class_that_is_answered_but_never_true_lowers_macro_f1_alone_and_one_never_trained_is_named():
    result = classification_of(["a", "a"], ["a", "b"])
    assert (result.recall, result.balanced_accuracy) == ({"a": 0.5}, 0.5)
    assert result.macro_f1 == pytest.approx(f1_score(["a", "a"], ["a", "b"], average="macro"))
    result = classification_of(["a", "new", "new"], ["a", "a", "a"], known={"a"})
    assert (result.unseen, result.recall["new"], result.accuracy) == ({"new": 2}, 0.0, pytest.approx(1 / 3))


@pytest.mark.parametrize("name", FIGURES)
def test_the_figure_of_some_rows_is_that_of_these_rows_alone(name):
    true, predicted = random_case(1)
    predicted[3] = None
    rows = np.random.default_rng(0).integers(60, size=60)
    alone = classification_of([true[row] for row in rows], [predicted[row] for row in rows])
    assert classification_figure(name, true, predicted)(rows) == pytest.approx(getattr(alone, name))
