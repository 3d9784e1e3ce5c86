import numpy as np
import pytest
from scipy.stats import binomtest

from ferkit.evaluation.score import score_of


@pytest.mark.parametrize(("right", "count"), [(0, 10), (3, 10), (10, 10), (1, 1), (2500, 3284)])
def test_the_interval_is_wilsons(right, count):
    score = score_of(np.arange(count) < right, np.ones(count, bool))
    oracle = binomtest(right, count).proportion_ci(method="wilson")
    assert score.accuracy == pytest.approx(right / count)
    assert score.interval == pytest.approx((oracle.low, oracle.high), abs=1e-6)
    assert score.count == count


def test_labels_are_compared_by_value():
    assert score_of(np.array(["a", "b", "b"]), np.array(["a", "b", "a"])).accuracy == pytest.approx(2 / 3)
