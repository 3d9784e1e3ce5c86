import numpy as np
import pytest

from ferkit.errors import InputError
from ferkit.evaluation.calibration import (
    Pairs,
    expected_calibration_error,
    fit_curve,
    fit_temperature,
    reliability,
    sample_pairs,
)


def test_a_temperature_is_found_again():
    random = np.random.default_rng(0)
    logits = random.normal(size=(20_000, 4)) * 2
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    true = (shares.cumsum(axis=1) < random.random((len(shares), 1))).sum(axis=1)
    assert fit_temperature(3 * logits, true) == pytest.approx(3, rel=0.05)


def test_error_by_hand():
    probability = np.array([0.9, 0.9, 0.9, 0.9, 0.3, 0.3])
    right = np.array([True, True, True, False, False, True])
    # four of .9 with .75 right, two of .3 with .5 right
    assert expected_calibration_error(probability, right) == pytest.approx((4 * 0.15 + 2 * 0.2) / 6)
    assert [part.predictions for part in reliability(probability, right)] == [2, 4]
    assert reliability(np.array([1.0]), np.array([True])) == [(1.0, 1.0, 1)]  # the last bin holds certainty


def test_pairs_are_of_different_people_and_half_of_one_expression():
    labels = ["a", "a", "b", "b", "c"]
    vectors = np.eye(5)
    vectors[1] = vectors[0]  # the only pair of one expression and two people: b is one person twice
    pairs = sample_pairs(vectors, labels, ["p", "q", "r", "r", None], count=2000, seed=0)
    assert set(pairs.cosines[pairs.same]) == {1.0}
    assert set(pairs.cosines[~pairs.same]) == {0.0}
    assert pairs.same.sum() == pytest.approx(500, abs=80)  # half of the draws hit one person and are left out


@pytest.mark.parametrize(("labels", "lacking"), [(["a", "a"], "two classes"), (["a", "b"], "two people")])
def test_pairs_need_two_people_and_two_classes(labels, lacking):
    with pytest.raises(InputError, match=lacking):
        sample_pairs(np.eye(2), labels, ["p", "q"])


def test_a_curve_is_found_again():
    random = np.random.default_rng(0)
    cosines = random.uniform(-1, 1, 50_000)
    same = random.random(50_000) < 1 / (1 + np.exp(-(6 * cosines - 1)))
    slope, intercept = fit_curve(Pairs(cosines, same))
    assert slope == pytest.approx(6, abs=0.2)
    # both kinds weigh the same, so that the curve is moved by the logarithm of their ratio
    assert intercept == pytest.approx(-1 - np.log(same.mean() / (1 - same.mean())), abs=0.1)
