import numpy as np
import pytest
from scipy.stats import bootstrap

from ferkit.errors import InputError
from ferkit.evaluation.intervals import bootstrap_interval, paired_interval


def mean_of(values):
    return lambda rows: float(values[rows].mean())


def test_scipy_agrees_over_images():
    values = np.random.default_rng(0).normal(size=80)
    found = bootstrap_interval(mean_of(values), [None] * 80)
    oracle = bootstrap((values,), np.mean, method="percentile", rng=1, n_resamples=4000).confidence_interval
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx(tuple(oracle), abs=0.03)
    assert found.groups == 80


def test_people_are_drawn_with_all_of_their_rows():
    # Two people of equal rows: resamples hold one, both or the other, so that the middle 95 % reaches from 0 to 1.
    values = np.array([0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
    found = bootstrap_interval(mean_of(values), list("aaabbb"))
    assert (found.value, found.low, found.high, found.groups) == (0.5, 0.0, 1.0, 2)


def test_it_holds_the_truth_19_times_in_20():
    random, held = np.random.default_rng(0), 0
    for number in range(200):
        people = np.repeat(random.normal(size=30), 3) + 0.3 * random.normal(size=90)
        names = [str(name) for name in np.repeat(range(30), 3)]
        found = bootstrap_interval(mean_of(people), names, resamples=200, seed=number)
        held += found.low < 0 < found.high
    assert 178 <= held <= 198


def test_pairs_see_a_small_difference_that_two_intervals_do_not():
    random = np.random.default_rng(0)
    hard = random.normal(size=60)
    first, second = hard + 0.2 + 0.1 * random.normal(size=60), hard
    apart = paired_interval(mean_of(first), mean_of(second), [None] * 60)
    assert apart.low > 0
    assert apart.value == pytest.approx(first.mean() - second.mean())
    alone = bootstrap_interval(mean_of(second), [None] * 60)
    assert alone.low < first.mean() < alone.high


def test_resamples_that_do_not_define_the_figure_drop_out():
    def share_of_ones_among_b(rows):
        return float("nan") if (rows < 2).all() else 1.0

    found = bootstrap_interval(share_of_ones_among_b, list("aabb"), resamples=50)
    assert (found.low, found.high) == (1.0, 1.0)


@pytest.mark.parametrize("names", [["a"] * 3, []])
def test_fewer_than_two_groups_are_refused(names):
    with pytest.raises(InputError):
        bootstrap_interval(mean_of(np.ones(3)), names)
