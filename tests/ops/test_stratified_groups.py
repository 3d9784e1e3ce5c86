import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferkit.ops.stratified_groups import stratified_group_split

SHARES = np.array([0.8, 0.1, 0.1])


def test_faces_of_their_own_are_dealt_exactly():
    labels = np.repeat([0, 1, -1], [100, 40, 60])
    parts = stratified_group_split(np.arange(200), labels, SHARES, seed=0)
    for label, count in ((0, 100), (1, 40), (-1, 60)):
        assert np.bincount(parts[labels == label]).tolist() == [0.8 * count, 0.1 * count, 0.1 * count]


def test_single_faces_make_up_for_what_groups_left_uneven():
    groups = np.concatenate([np.repeat(0, 30), np.arange(1, 71)])  # one person has 30 of 100 faces
    parts = stratified_group_split(groups, np.zeros(100, int), np.array([0.5, 0.5]), seed=0)
    assert np.bincount(parts).tolist() == [50, 50]
    assert len(set(parts[:30])) == 1


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(-1, 2)), min_size=1, max_size=60), st.integers(0, 5))
def test_groups_stay_whole_and_no_part_is_empty(faces, seed):
    groups, labels = np.array(faces).T
    count = len(set(groups.tolist()))
    shares = np.full(min(count, 4), 1 / min(count, 4))
    parts = stratified_group_split(groups, labels, shares, seed)
    assert len(set(zip(groups.tolist(), parts.tolist(), strict=True))) == count
    assert set(parts.tolist()) == set(range(len(shares)))


@pytest.mark.parametrize("sizes", [[30, 1, 1], [10, 10, 10]])
def test_a_tiny_part_gets_a_group_of_its_own(sizes):
    groups = np.repeat([0, 1, 2], sizes)
    parts = stratified_group_split(groups, np.zeros(len(groups), int), np.array([0.98, 0.01, 0.01]), seed=0)
    assert set(parts.tolist()) == {0, 1, 2}
