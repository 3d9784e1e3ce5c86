"""How well a linear classifier reads expressions off frozen features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.evaluation.score import Score, score_of

__all__ = ["STRENGTHS", "linear_accuracy"]

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse regularisations that are tried (scikit-learn's C); a ferkit default."""

_HELD_OUT = 5
_ITERATIONS = 1000

Rows = NDArray[np.floating[Any]]
Labels = NDArray[np.str_]


def linear_accuracy(
    train: Rows,
    train_labels: Sequence[str],
    test: Rows,
    test_labels: Sequence[str],
    *,
    strengths: Sequence[float] = STRENGTHS,
    seed: int = 0,
) -> Score:
    """Fit multinomial logistic regression (L-BFGS) on standardised features and judge it on the test part.

    The regularisation is the one that does best on a fifth of each training class, held out; then all of train is
    fitted with it. The test part is looked at once.

    Args:
        train: (N, D) features; their mean and deviation standardise both parts.
        train_labels: N labels, of at least two classes, one of them with five rows.
        test: (M, D) features.
        test_labels: M labels; one that training does not hold is a wrong answer.
        strengths: inverse regularisations to choose from.
        seed: of the choice of the held-out rows.

    Raises:
        InputError: lengths differ, or there is too little to fit or to judge.
    """
    labels, wanted = np.asarray(train_labels), np.asarray(test_labels)
    _check(train, labels, test, wanted)
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    # A feature that never changes carries nothing; leave it at zero.
    scale = np.where(deviation > 0, deviation, 1)
    train, test = (train - mean) / scale, (test - mean) / scale
    held_out = _held_out(labels, seed)
    if not held_out.any():
        raise InputError("no class has five training rows, so none can be held out to choose the regularisation")

    def judge(strength: float) -> float:
        fitted = _fit(train[~held_out], labels[~held_out], strength)
        return float(np.mean(fitted.predict(train[held_out]) == labels[held_out]))

    best = max(strengths, key=judge)
    return score_of(_fit(train, labels, best).predict(test), wanted)


def _fit(features: Rows, labels: Labels, strength: float) -> Any:  # noqa: ANN401 (scikit-learn has no types)
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=_ITERATIONS).fit(features, labels)


def _held_out(labels: Labels, seed: int) -> NDArray[np.bool_]:
    """Mark a random fifth of each class, rounded down, so that every class stays in the other part."""
    random = np.random.default_rng(seed)
    chosen = np.zeros(len(labels), dtype=bool)
    for name in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == name))
        chosen[rows[: len(rows) // _HELD_OUT]] = True
    return chosen


def _check(train: Rows, labels: Labels, test: Rows, wanted: Labels) -> None:
    if len(train) != len(labels) or len(test) != len(wanted):
        raise InputError(
            f"{len(train)} training and {len(test)} test vectors do not match {len(labels)} and {len(wanted)} labels"
        )
    if not len(test):
        raise InputError("there is no test vector to classify")
    if len(np.unique(labels)) < 2:
        raise InputError("a classifier needs training rows of at least two labels")
