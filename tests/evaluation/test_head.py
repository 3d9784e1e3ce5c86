import numpy as np
import pytest

from ferkit.evaluation.cosine import unit_rows
from ferkit.evaluation.head import calibrated, fit_head


def clouds(seed, spread=0.5):
    random = np.random.default_rng(seed)
    numbers = random.integers(0, 3, 300)
    vectors = unit_rows(np.eye(8)[numbers] + spread * random.normal(size=(300, 8))).astype(np.float32)
    return vectors, np.array(["anger", "fear", "happiness"])[numbers].tolist()


def test_a_head_reads_classes_it_was_not_shown():
    head = fit_head("e" * 64, *clouds(0))
    vectors, labels = clouds(1)
    answers = np.array(head.classes)[head.probabilities(vectors).argmax(axis=1)]
    assert np.mean(answers == np.array(labels)) > 0.6
    assert head.classes == ("happiness", "fear", "anger")
    assert head.prototypes.argmax(axis=1).tolist() == [2, 1, 0]


def test_calibration_changes_no_answer_and_lowers_the_cross_entropy():
    head = fit_head("e" * 64, *clouds(0))
    vectors, labels = clouds(1)
    head = calibrated(head, vectors, labels)
    again = calibrated(head, vectors, [*labels[:-1], "contempt"])
    assert again.weight == pytest.approx(head.weight, rel=0.05, abs=1e-6)
    assert (head.probabilities(vectors).argmax(1) == again.probabilities(vectors).argmax(1)).all()
