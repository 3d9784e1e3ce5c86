import numpy as np
import pytest

from ferkit.errors import InputError
from ferkit.evaluation.calibration import (
    Pairs,
    fit_curve,
    fit_temperature,
    sample_pairs,
)


def test_a_temperature_is_found_again():
    random = np.random.default_rng(0)
    logits = random.normal(size=(20_000, 4)) * 2
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    true = (shares.cumsum(axis=1) < random.random((len(shares), 1))).sum(axis=1)
    assert fit_temperature(3 * logits, true) == pytest.approx(3, rel=0.05)


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
