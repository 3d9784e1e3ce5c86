import numpy as np
import pytest

from ferkit.errors import InputError
from ferkit.search.queries import Query, change
from ferkit.search.retrieve_settings import BEST, MEAN

NONE = np.empty((0, 3))
X, Y, Z = np.eye(3)


def test_one_example_is_its_cosine():
    for rule in (MEAN, BEST):
        assert Query(X[None], NONE, rule).scores(np.eye(3)).tolist() == [1, 0, 0]


def test_the_mean_is_pushed_away_from_what_is_not_wanted():
    query = Query(np.stack([X, Y]), Z[None])
    assert query.direction() == pytest.approx(np.array([1, 1, -1]) / np.sqrt(3))  # 2 (x + y) / 2 - z
    assert query.scores(np.eye(3)) == pytest.approx(np.array([1, 1, -1]) / np.sqrt(3))


def test_the_best_rule_takes_the_nearest_of_each():
    query = Query(np.stack([X, Y]), Z[None], BEST)
    assert query.direction() is None
    faces = np.array([[0.6, 0.8, 0], [0, 0.6, 0.8], [0, 0, 1]])
    assert query.scores(faces) == pytest.approx([0.8, -0.2, -1])


def test_a_change_is_what_both_photos_do_not_share():
    before, after = np.array([0.8, 0.6, 0]), np.array([0.8, 0, 0.6])
    assert change(before, after).direction() == pytest.approx(np.array([0, -1, 1]) / np.sqrt(2))
    with pytest.raises(InputError, match="nothing changed"):
        change(before, before)


def test_examples_that_cancel_out_are_refused():
    with pytest.raises(InputError, match="cancel out"):
        Query(np.stack([X, -X]), NONE).direction()
    with pytest.raises(InputError, match="mean or best"):
        Query(X[None], NONE, "median")
