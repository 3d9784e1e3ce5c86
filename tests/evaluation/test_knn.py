import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from ferkit.errors import InputError
from ferkit.evaluation import rows as rows_module
from ferkit.evaluation.knn import knn_answers
from samples import clouds


def accuracy(train, train_labels, test, test_labels, **options):
    return np.mean(knn_answers(train, train_labels, test, **options) == np.array(test_labels))


@pytest.mark.parametrize("temperature", [None, 0.07, 1.0])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_scikit_learn_agrees(k, temperature, monkeypatch):
    monkeypatch.setattr(rows_module, "_BLOCK", 16)
    train, test = clouds(0, 150), clouds(1, 100)
    weights = "uniform" if temperature is None else lambda distance: np.exp((1 - distance) / temperature)
    oracle = KNeighborsClassifier(k, metric="cosine", weights=weights).fit(*train)
    share = accuracy(*train, *test, k=k, temperature=temperature)
    assert share == pytest.approx(oracle.score(*test))
    assert 0.4 < share < 1


def test_votes_by_hand():
    # Cosines to the query: one of "near" at 1, two of "far" at 0.
    train, labels = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 7.0]]), ["near", "far", "far"]
    query = np.array([[3.0, 0.0]])

    def is_near(**options):
        return knn_answers(train, labels, query, k=3, **options).tolist() == ["near"]

    assert not is_near()
    assert is_near(temperature=1.0)  # e^1 > 2
    assert not is_near(temperature=2.0)  # e^(1/2) < 2


@pytest.mark.parametrize("change", [{"train_labels": ["a"]}, {"test": np.empty((0, 2))}, {"k": 3}])
def test_bad_input(change):
    good = {"train": np.eye(2), "train_labels": ["a", "b"], "test": np.eye(2), "k": 1}
    with pytest.raises(InputError):
        knn_answers(**{**good, **change})


def test_faceless_rows_are_no_neighbours_and_are_not_answered():
    train = np.array([[1.0, 0.0], [np.nan, np.nan], [0.0, 1.0]])
    test = np.array([[2.0, 0.1], [np.nan, np.nan], [0.0, 3.0]])
    assert knn_answers(train, ["a", "b", "b"], test, k=1).tolist() == ["a", None, "b"]
    assert knn_answers(train, ["a", "b", "b"], test[1:2], k=1).tolist() == [None]
    with pytest.raises(InputError, match="the 2 training vectors"):
        knn_answers(train, ["a", "b", "b"], test, k=3)
