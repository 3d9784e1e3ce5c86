import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ferkit.errors import InputError
from ferkit.evaluation.linear import linear_accuracy


def clouds(seed, count, spread=2.0, dim=6):
    random = np.random.default_rng(seed)
    numbers = random.integers(0, 3, count)
    vectors = 3 * np.eye(dim)[numbers] + spread * random.normal(size=(count, dim))
    return vectors, np.array(["anger", "fear", "happiness"])[numbers].tolist()


def test_separable_classes_are_all_right():
    assert linear_accuracy(*clouds(0, 100, spread=0.1), *clouds(1, 50, spread=0.1)).accuracy == 1


def test_labels_without_a_pattern_are_at_chance():
    random = np.random.default_rng(0)
    train, test = random.normal(size=(300, 5)), random.normal(size=(300, 5))
    labels = random.choice(["a", "b"], size=600).tolist()
    score = linear_accuracy(train, labels[:300], test, labels[300:])
    assert score.interval[0] < 0.5 < score.interval[1]


def test_scikit_learns_pipeline_agrees():
    train, test = clouds(0, 200), clouds(1, 300)
    oracle = make_pipeline(StandardScaler(), LogisticRegression(C=0.01)).fit(*train)
    score = linear_accuracy(*train, *test, strengths=[0.01])
    assert score.accuracy == pytest.approx(oracle.score(*test))
    assert 0.5 < score.accuracy < 1


def test_scale_and_offset_of_a_feature_do_not_matter():
    train, test = clouds(0, 200), clouds(1, 300)
    scale, offset = np.array([1, 10, 100, 0.1, 1, 1]), np.array([0, 5, -50, 0, 1, 2])
    moved = linear_accuracy(train[0] * scale + offset, train[1], test[0] * scale + offset, test[1])
    assert moved == linear_accuracy(*train, *test)


def test_a_feature_that_never_changes_does_no_harm():
    train, test = clouds(0, 100), clouds(1, 100)
    plus = [np.column_stack([vectors, np.full(100, 7.0)]) for vectors in (train[0], test[0])]
    assert linear_accuracy(plus[0], train[1], plus[1], test[1]) == linear_accuracy(*train, *test)


def test_the_regularisation_is_chosen_without_the_test_part():
    # Were it consulted, swapped labels would bring another choice, and the two shares would not add up to one.
    random = np.random.default_rng(0)
    train = random.normal(size=(60, 41))
    labels = np.where(train[:, 0] + 0.8 * random.normal(size=60) > 0, "a", "b").tolist()
    test = random.normal(size=(500, 41))
    truth = np.where(test[:, 0] > 0, "a", "b")
    swapped = np.where(test[:, 0] > 0, "b", "a")
    straight = linear_accuracy(train, labels, test, truth.tolist())
    crossed = linear_accuracy(train, labels, test, swapped.tolist())
    assert straight.accuracy + crossed.accuracy == pytest.approx(1)


def test_the_better_of_two_strengths_is_taken():
    train, test = clouds(0, 300), clouds(1, 500)
    useless, good = 1e-12, 1e-2  # the first fits the class frequencies alone
    both = linear_accuracy(*train, *test, strengths=[useless, good])
    assert both == linear_accuracy(*train, *test, strengths=[good])
    assert both.accuracy > linear_accuracy(*train, *test, strengths=[useless]).accuracy


def test_rare_classes_stay_in_training():
    vectors, labels = clouds(0, 50, spread=0.1)
    vectors = np.vstack([vectors, [[0, 0, 0, 0, 0, 9]]])
    score = linear_accuracy(vectors, [*labels, "contempt"], vectors[-1:], ["contempt"])
    assert score.count == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train_labels": ["a"]}, "do not match"),
        ({"test_labels": ["a"]}, "do not match"),
        ({"test": np.empty((0, 6)), "test_labels": []}, "no test vector"),
        ({"train_labels": ["a"] * 20}, "two labels"),
        ({"train_labels": [str(number // 4) for number in range(20)]}, "five"),
    ],
)
def test_bad_input(change, words):
    train, labels = clouds(0, 20)
    good = {"train": train, "train_labels": labels, "test": train, "test_labels": labels}
    with pytest.raises(InputError, match=words):
        linear_accuracy(**{**good, **change})
