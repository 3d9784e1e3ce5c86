import numpy as np
import pytest

from ferkit.evaluation.triplets import odd_one_out

ANGLES = np.deg2rad([0, 10, 60, 65])
VECTORS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1) * [[1], [5], [0.2], [2]]  # lengths must not matter


def test_three_triplets_by_hand():
    # 0, 10 | 60: the third is odd; 10 | 60, 65: the first is; 0, 10 | 65 with the middle one called odd: wrong.
    triplets = np.array([[0, 1, 2], [1, 2, 3], [0, 1, 3]])
    right, covered = odd_one_out(VECTORS, triplets, np.array([2, 0, 1]))
    assert right.tolist() == [1, 1, 0]
    assert covered == 1


def test_planted_vectors():
    random = np.random.default_rng(0)
    rows = np.arange(900).reshape(300, 3)
    odd = random.integers(3, size=300)
    looks = np.zeros((300, 3), int)
    looks[np.arange(300), odd] = 1

    def accuracy(vectors):
        return odd_one_out(vectors, rows, odd)[0].mean()

    assert accuracy(random.normal(size=(2, 8))[looks.ravel()]) == 1
    assert accuracy(random.normal(size=(900, 8))) == pytest.approx(1 / 3, abs=0.08)
    assert accuracy(np.ones((900, 8))) == pytest.approx(1 / 3)


def test_a_triplet_with_a_faceless_row_is_wrong():
    vectors = np.vstack([VECTORS, [[np.nan, np.nan]]])
    right, covered = odd_one_out(vectors, np.array([[0, 1, 2], [0, 1, 4]]), np.array([2, 2]))
    assert (right.tolist(), covered) == ([1, 0], 0.5)
