"""What the nearest labelled faces say of a face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.evaluation.cosine import unit_rows
from ferkit.evaluation.score import Score, score_of

__all__ = ["knn_accuracy"]

_BLOCK = 1024

Rows = NDArray[np.floating[Any]]


def knn_accuracy(
    train: Rows,
    train_labels: Sequence[str],
    test: Rows,
    test_labels: Sequence[str],
    *,
    k: int = 20,
    temperature: float | None = None,
) -> Score:
    """Classify each test vector by its ``k`` nearest training vectors (cosine).

    Args:
        train: (N, D) of any length.
        train_labels: N labels.
        test: (M, D) of any length.
        test_labels: M labels; one that training does not hold is a wrong answer.
        k: neighbours, at most N.
        temperature: a neighbour's vote weighs exp(cosine / temperature) (arXiv:1805.01978, section 3.4, which takes
            0.07); None gives every neighbour one vote. A draw goes to the label that sorts first.

    Raises:
        InputError: lengths differ, nothing to classify, or ``k`` is not in 1..N.
    """
    _check(train, train_labels, test, test_labels, k)
    classes, numbers = np.unique(np.asarray(train_labels), return_inverse=True)
    one_hot = np.eye(len(classes))[numbers]
    units = unit_rows(train)
    votes = [_vote(block @ units.T, one_hot, k, temperature) for block in _blocks(unit_rows(test))]
    return score_of(classes[np.concatenate(votes)], np.asarray(test_labels))


def _vote(cosines: Rows, one_hot: NDArray[np.float64], k: int, temperature: float | None) -> NDArray[np.intp]:
    """Return the (B,) winning class numbers for (B, N) cosines."""
    nearest = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
    if temperature is None:
        weights = np.ones(nearest.shape)
    else:
        near = np.take_along_axis(cosines, nearest, axis=1)
        # The largest exponent is 0, so that none overflows; a common factor changes no vote.
        weights = np.exp((near - near.max(axis=1, keepdims=True)) / temperature)
    votes = np.einsum("bk,bkc->bc", weights, one_hot[nearest])
    return np.asarray(votes.argmax(axis=1))


def _blocks(rows: Rows) -> list[Rows]:
    return [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]


def _check(train: Rows, train_labels: Sequence[str], test: Rows, test_labels: Sequence[str], k: int) -> None:
    if len(train) != len(train_labels) or len(test) != len(test_labels):
        raise InputError(
            f"{len(train)} training and {len(test)} test vectors do not match "
            f"{len(train_labels)} and {len(test_labels)} labels"
        )
    if not len(test):
        raise InputError("there is no test vector to classify")
    if not 1 <= k <= len(train):
        raise InputError(f"{k} neighbours were asked for; choose from 1 to the {len(train)} training vectors")
