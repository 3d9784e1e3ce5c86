import numpy as np
import pytest

from ferkit.errors import InputError
from ferkit.evaluation.rows import check_parts, check_rows, coverage, has_embedding, numbered_groups

NAN = np.nan


def test_rows_that_are_not_finite_are_faceless():
    vectors = np.array([[1.0, 2.0], [NAN, NAN], [0.0, NAN], [np.inf, 1.0], [0.0, 0.0]])
    assert has_embedding(vectors).tolist() == [True, False, False, False, True]
    assert coverage(vectors) == 0.4


def test_each_none_is_a_group_of_its_own():
    numbers = numbered_groups(["b", None, "a", "b", None])
    assert numbers[0] == numbers[3]
    assert len(set(numbers.tolist())) == 4


@pytest.mark.parametrize(
    ("vectors", "labels", "words"),
    [
        (np.ones(3), ["a"] * 3, r"shape \(3,\)"),
        (np.ones((0, 3)), [], "no vectors"),
        (np.ones((2, 3)), ["a"], "2 vectors do not match 1 labels"),
    ],
)
def test_rows_that_cannot_be_judged(vectors, labels, words):
    with pytest.raises(InputError, match=words):
        check_rows(vectors, labels=labels)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"test": np.ones((2, 5))}, "one encoder"),
        ({"train_labels": ["a", None]}, "1 of 2 training rows have no label"),
        ({"test_labels": [None, None]}, "2 of 2 test rows have no label"),
    ],
)
def test_parts_that_do_not_go_together(change, words):
    good = {
        "train": np.ones((2, 3)),
        "train_labels": ["a", "b"],
        "test": np.ones((2, 3)),
        "test_labels": ["a", "b"],
    }
    with pytest.raises(InputError, match=words):
        check_parts(**{**good, **change})
