import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ferkit.errors import InputError
from ferkit.evaluation.linear import linear_answers, standardise
from samples import clouds


def accuracy(train, train_labels, test, test_labels, **options):
    return np.mean(linear_answers(train, train_labels, test, **options).predicted == np.array(test_labels))


def test_scikit_learns_pipeline_agrees():
    train, test = clouds(0, 200), clouds(1, 300)
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(*train)
    share = accuracy(*train, *test, strengths=[0.01])
    assert share == pytest.approx(oracle.score(*test))
    assert 0.5 < share < 1


def test_the_regularisation_is_chosen_without_the_test_part():
    # Were it consulted, swapped labels would bring another choice, and the two shares would not add up to one.
    random = np.random.default_rng(0)
    train = random.normal(size=(60, 41))
    labels = np.where(train[:, 0] + 0.8 * random.normal(size=60) > 0, "a", "b").tolist()
    test = random.normal(size=(500, 41))
    truth = np.where(test[:, 0] > 0, "a", "b")
    swapped = np.where(test[:, 0] > 0, "b", "a")
    straight = accuracy(train, labels, test, truth.tolist())
    crossed = accuracy(train, labels, test, swapped.tolist())
    assert straight + crossed == pytest.approx(1)


@pytest.mark.parametrize(
    "change",
    [
        {"train_labels": ["a"]},
        {"test": np.empty((0, 6))},
        {"train_labels": ["a"] * 20},
        {"train_labels": [str(number) for number in range(20)]},
        {"test": np.ones((20, 5))},
        {"train_labels": list("aabb") * 5, "train_identities": list("xxyy") * 5},  # two people of one label each
    ],
)
def test_bad_input(change):
    train, labels = clouds(0, 20)
    with pytest.raises(InputError):
        linear_answers(**{"train": train, "train_labels": labels, "test": train, **change})


def test_faceless_rows_train_nothing_and_are_not_answered():
    (train, labels), (test, _) = clouds(0, 100), clouds(1, 10)
    plus = np.vstack([train, np.full((50, 6), np.nan)])
    test[3] = np.nan
    answers = linear_answers(plus, labels + ["anger"] * 50, test).predicted
    assert answers[3] is None
    assert np.array_equal(np.delete(answers, 3), linear_answers(train, labels, np.delete(test, 3, axis=0)).predicted)
    assert linear_answers(train, labels, np.full((2, 6), np.nan)).predicted.tolist() == [None, None]


def test_with_identities_the_strength_is_not_chosen_by_knowing_people():
    # Each person has one label and a look of their own: who may know people takes the strength that learns them by
    # heart, and who may not the one that keeps to the weak sign of the label, which is in the first two dimensions.
    random = np.random.default_rng(0)
    who = np.repeat(np.arange(40), 6)
    what = who % 2
    looks = random.normal(size=(40, 60))[who]
    train = np.column_stack([np.eye(2)[what] + 0.9 * random.normal(size=(240, 2)), looks])
    labels, people = np.array(["a", "b"])[what].tolist(), [str(number) for number in who]
    blind = [linear_answers(train, labels, train[:1], seed=seed) for seed in range(6)]
    strict = [linear_answers(train, labels, train[:1], train_identities=people, seed=seed) for seed in range(6)]
    for free, held in zip(blind, strict, strict=True):
        assert max(free.held_out.values()) > max(held.held_out.values())
    assert np.mean([np.log(each.strength) for each in strict]) < np.mean([np.log(each.strength) for each in blind])


@pytest.mark.parametrize("classes", [2, 3])
def test_the_model_answers_as_the_classifier_does(classes):
    train, labels = clouds(0, 90)
    if classes == 2:
        two = [row for row, label in enumerate(labels) if label != "anger"]
        train, labels = train[two], [labels[row] for row in two]
    found = linear_answers(train, labels, train + 0.5)
    scores = found.model.scores(train + 0.5)
    assert scores.shape == (len(train), len(found.model.classes)) == (len(train), classes)
    assert np.array(found.model.classes)[scores.argmax(axis=1)].tolist() == found.predicted.tolist()
    if classes == 2:
        assert scores.sum(axis=1) == pytest.approx(0)


def test_single_precision_is_kept_and_does_not_blur_the_mean_of_many_rows():
    train, test = standardise(np.float32([[1, 5], [3, 5]]), np.float32([[5, 7]]))
    assert (train.tolist(), test.tolist()) == ([[-1, 0], [1, 0]], [[3, 2]])
    assert train.dtype == test.dtype == np.float32
    train = np.tile(np.float32([[1000, 3000], [1001, 3002]]), (50_000, 1))
    assert np.abs(standardise(train, train[:1])[0].mean(axis=0, dtype=np.float64)).max() < 1e-3
