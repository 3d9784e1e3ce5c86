import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from ferkit.errors import InputError
from ferkit.evaluation import knn as knn_module
from ferkit.evaluation.knn import knn_accuracy, knn_answers


def clouds(seed, count, spread=2.0):
    random = np.random.default_rng(seed)
    numbers = random.integers(0, 3, count)
    centers = np.array([[3.0, 0, 0, 0], [0, 3.0, 0, 0], [0, 0, 3.0, 0]])
    labels = np.array(["anger", "fear", "happiness"])[numbers]
    return centers[numbers] + spread * random.normal(size=(count, 4)), labels.tolist()


@pytest.mark.parametrize("temperature", [None, 0.07, 1.0])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_scikit_learn_agrees(k, temperature, monkeypatch):
    monkeypatch.setattr(knn_module, "_BLOCK", 16)
    train, test = clouds(0, 150), clouds(1, 100)
    weights = "uniform" if temperature is None else lambda distance: np.exp((1 - distance) / temperature)
    oracle = KNeighborsClassifier(k, metric="cosine", weights=weights).fit(*train)
    score = knn_accuracy(*train, *test, k=k, temperature=temperature)
    assert score.accuracy == pytest.approx(oracle.score(*test))
    assert 0.4 < score.accuracy < 1


def test_votes_by_hand():
    # Cosines to the query: one of "near" at 1, two of "far" at 0.
    train, labels = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 7.0]]), ["near", "far", "far"]
    query = np.array([[3.0, 0.0]])

    def is_near(**options):
        return knn_accuracy(train, labels, query, ["near"], k=3, **options).accuracy == 1

    assert not is_near()
    assert is_near(temperature=1.0)  # e^1 > 2
    assert not is_near(temperature=2.0)  # e^(1/2) < 2


def test_a_small_temperature_does_not_overflow():
    train, test = clouds(0, 50), clouds(1, 20)
    assert knn_accuracy(*train, *test, k=5, temperature=1e-4) == knn_accuracy(*train, *test, k=1)


def test_a_label_that_training_does_not_hold_is_wrong():
    score = knn_accuracy(np.eye(2), ["a", "b"], np.eye(2), ["a", "never"], k=1)
    assert (score.accuracy, score.count) == (0.5, 2)


def test_a_draw_goes_to_the_label_that_sorts_first():
    assert knn_accuracy(np.eye(2), ["b", "a"], np.ones((1, 2)), ["a"], k=2).accuracy == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train_labels": ["a"]}, "do not match"),
        ({"test_labels": ["a"] * 3}, "do not match"),
        ({"test": np.empty((0, 2)), "test_labels": []}, "no test vector"),
        ({"k": 0}, "0 neighbours"),
        ({"k": 3}, "3 neighbours"),
    ],
)
def test_bad_input(change, words):
    good = {"train": np.eye(2), "train_labels": ["a", "b"], "test": np.eye(2), "test_labels": ["a", "b"], "k": 1}
    with pytest.raises(InputError, match=words):
        knn_accuracy(**{**good, **change})


def test_faceless_rows_are_no_neighbours_and_are_not_answered():
    train = np.array([[1.0, 0.0], [np.nan, np.nan], [0.0, 1.0]])
    test = np.array([[2.0, 0.1], [np.nan, np.nan], [0.0, 3.0]])
    assert knn_answers(train, ["a", "b", "b"], test, k=1).tolist() == ["a", None, "b"]
    assert knn_accuracy(train, ["a", "b", "b"], test, ["a", "a", "b"], k=1).accuracy == pytest.approx(2 / 3)
    assert knn_answers(train, ["a", "b", "b"], test[1:2], k=1).tolist() == [None]
    with pytest.raises(InputError, match="the 2 training vectors"):
        knn_answers(train, ["a", "b", "b"], test, k=3)
