import numpy as np
import pytest

from ferkit.evaluation.affect import affect_answers
from ferkit.evaluation.head import at_temperature, fit_head, temperature_of, with_affect
from ferkit.evaluation.rows import unit_rows
from samples import clouds


def faces(seed):
    vectors, labels = clouds(seed, 300, spread=1.5, dim=8)
    return unit_rows(vectors), labels


def test_a_head_reads_classes_it_was_not_shown():
    head = fit_head("e" * 64, *faces(0))
    vectors, labels = faces(1)
    answers = np.array(head.classes)[head.probabilities(vectors).argmax(axis=1)]
    assert np.mean(answers == np.array(labels)) > 0.6
    assert head.classes == ("happiness", "fear", "anger")
    assert head.prototypes.argmax(axis=1).tolist() == [2, 1, 0]


def test_calibration_divides_the_logits_and_leaves_out_unknown_classes():
    head = fit_head("e" * 64, *faces(0))
    vectors, labels = faces(1)
    temperature = temperature_of(head, vectors, labels)
    warm = at_temperature(head, temperature)
    assert warm.weight * temperature == pytest.approx(head.weight, rel=1e-5)
    assert temperature_of(warm, vectors, labels) == pytest.approx(1, abs=0.02)
    extra = np.concatenate([vectors, vectors[:1]])
    assert temperature_of(head, extra, [*labels, "contempt"]) == temperature


def test_affect_is_the_ridge_regression_of_the_probe():
    vectors, labels = faces(0)
    values = np.stack([vectors[:, 0] - vectors[:, 1], 0.5 * vectors[:, 2]], axis=1)
    head = with_affect(fit_head("e" * 64, vectors, labels), vectors, values)
    asked, _ = faces(1)
    expected = affect_answers(vectors.astype(np.float64), values, asked).predicted
    assert head.affect(asked) == pytest.approx(expected.clip(-1, 1), abs=1e-5)
