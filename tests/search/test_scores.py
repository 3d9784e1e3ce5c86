import numpy as np
import pytest

from ferkit.search.queries import Query
from ferkit.search.scores import percentiles

NONE = np.empty((0, 3))


def test_percentiles_count_the_faces_below():
    angles = np.linspace(0, np.pi, 101)
    vectors = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1).astype(np.float32)
    query = Query(np.eye(3)[:1], NONE)
    found = percentiles(query, query.scores(vectors[[0, 50, 100]]), vectors)
    assert found == pytest.approx([100 * 100 / 101, 100 * 50 / 101, 0])


def test_a_large_set_is_sampled_evenly():
    vectors = np.zeros((200_000, 1), np.float32)
    vectors[:, 0] = np.linspace(-1, 1, 200_000)
    query = Query(np.ones((1, 1)), np.empty((0, 1)))
    assert percentiles(query, np.array([0.5]), vectors) == pytest.approx([75], abs=0.01)
