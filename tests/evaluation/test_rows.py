import numpy as np
import pytest

from ferkit.errors import InputError
from ferkit.evaluation.rows import check_rows, coverage, has_embedding, numbered_groups

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
    ("vectors", "labels"), [(np.ones(3), ["a"] * 3), (np.ones((0, 3)), []), (np.ones((2, 3)), ["a"])]
)
def test_rows_that_cannot_be_judged(vectors, labels):
    with pytest.raises(InputError):
        check_rows(vectors, labels=labels)
