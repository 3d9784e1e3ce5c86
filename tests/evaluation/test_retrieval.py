import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torchmetrics.functional.retrieval import retrieval_average_precision, retrieval_precision

from ferkit.errors import InputError
from ferkit.evaluation import rows as rows_module
from ferkit.evaluation.retrieval import retrieval_score


def test_four_faces_by_hand():
    # Angles: a1 0, b1 10, a2 30, b2 90; all are the gallery, one person each. Of the others, nearest first:
    # a1: b1 a2 b2 -> precision@1 0, AP 1/2; a2: b1 a1 b2 -> 0, 1/2; b1: a1 a2 b2 -> 0, 1/3; b2: a2 b1 a1 -> 0, 1/2.
    angles = np.deg2rad([0, 10, 30, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1) * [[1], [3], [0.1], [2]]  # lengths must not matter
    score = retrieval_score(vectors, list("abab"), [None] * 4, k=1, repeats=1)
    assert score.average_precisions == pytest.approx([1 / 2, 1 / 3, 1 / 2, 1 / 2])
    assert score.precision == 0
    assert score.by_class == {"a": (0, pytest.approx(1 / 2)), "b": (0, pytest.approx(5 / 12))}
    assert score.mean_average_precision == pytest.approx((1 / 2 + 5 / 12) / 2)
    assert (score.per_class, score.repeats, score.k) == (2, 1, 1)


def test_scikit_learn_and_torchmetrics_agree(planted, monkeypatch):
    monkeypatch.setattr(rows_module, "_BLOCK", 16)
    vectors, labels, who = planted(10, expression=0.5, identity=0.5, noise=1)
    names, people = np.array(labels), np.array(who)
    score = retrieval_score(vectors, labels, who, k=5, per_class=100, repeats=1)
    assert score.per_class == 20  # so that the gallery is everybody
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    for row in range(0, 60, 7):
        others = people != people[row]
        right, near = names[others] == names[row], (units @ units[row])[others]
        pair = torch.from_numpy(near + 2), torch.from_numpy(right)  # torchmetrics never finds what is below 0
        assert score.average_precisions[row] == pytest.approx(average_precision_score(right, near))
        assert score.average_precisions[row] == pytest.approx(float(retrieval_average_precision(*pair)))
        assert score.precisions[row] == pytest.approx(float(retrieval_precision(*pair, top_k=5)))


def test_a_frequent_class_does_not_come_back_more_often():
    random = np.random.default_rng(0)
    labels = ["common"] * 400 + ["rare"] * 40
    score = retrieval_score(random.normal(size=(440, 8)), labels, [None] * 440, k=5, per_class=100, repeats=5)
    assert score.per_class == 40
    assert score.by_class["rare"][0] == pytest.approx(0.5, abs=0.06)
    assert score.by_class["common"][0] == pytest.approx(0.5, abs=0.06)


def test_faceless_rows_find_nothing_and_are_not_found(planted):
    vectors, labels, who = planted(10, expression=1, noise=0.01)
    vectors[:6] = np.nan  # the first person
    score = retrieval_score(vectors, labels, who, k=5, repeats=2)
    assert score.per_class == 18
    assert score.precisions[:6].tolist() == [0] * 6
    assert (score.precisions[6:] == 1).all()
    assert score.average_precisions[6:] == pytest.approx(1)
    assert score.precision == pytest.approx(0.9)


@pytest.mark.parametrize(
    "change",
    [
        {"labels": ["a"] * 6},
        {"labels": ["a", None] * 3},
        {"identities": ["x"] * 6},
        {"vectors": np.where(np.arange(6)[:, None] % 2, np.nan, 1.0)},
        {"k": 6},
    ],
)
def test_bad_input(change):
    good = {"vectors": np.ones((6, 2)), "labels": ["a", "b"] * 3, "identities": [None] * 6, "k": 2, "repeats": 1}
    with pytest.raises(InputError):
        retrieval_score(**{**good, **change})
