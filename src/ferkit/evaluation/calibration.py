"""Scores that mean something: a classifier's temperature, and the curve of "the same expression"."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.evaluation.rows import Rows, check_rows, numbered_groups, unit_rows

_TEMPERATURES = np.geomspace(0.1, 20, 400)

Floats = NDArray[np.floating[Any]]


class Pairs(NamedTuple):
    """Pairs of faces of two people each."""

    cosines: NDArray[np.float64]  # (P,) float64
    same: NDArray[np.bool_]  # (P,) whether both show one expression


def fit_temperature(logits: Floats, true: NDArray[np.int64]) -> float:
    """Return what to divide logits by so that their softmax is calibrated (arXiv:1706.04599, section 4.2).

    Args:
        logits: (N, C) of faces that the classifier was not fitted on.
        true: (N,) numbers of their classes.

    Returns:
        The one of 400 temperatures from 0.1 to 20, evenly spaced in their logarithm, with the least cross entropy.

    Raises:
        InputError: there are no faces.
    """
    check_rows(logits, labels=true.tolist())
    rows = np.arange(len(true))

    def cross_entropy(temperature: float) -> float:
        scaled = np.asarray(logits, np.float64) / temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - scaled[rows, true]))

    return float(min(_TEMPERATURES, key=cross_entropy))


def sample_pairs(
    vectors: Rows, labels: Sequence[str], people: Sequence[str | None], *, count: int = 100_000, seed: int = 0
) -> Pairs:
    """Draw pairs of different people's faces, half of them of one expression; every class is as likely as any other.

    Args:
        vectors: (N, D) of any length.
        labels: N classes, at least two of them, one with faces of two people.
        people: who they are; None is somebody else each time.
        count: pairs to draw; those that fall on one person are left out.
        seed: of the draw.

    Raises:
        InputError: lengths differ, or no pair of one or of two expressions can be drawn.
    """
    check_rows(vectors, labels=labels, people=people)
    classes, numbers = np.unique(np.asarray(labels), return_inverse=True)
    rows_of = [np.flatnonzero(numbers == number) for number in range(len(classes))]
    person, random = numbered_groups(people), np.random.default_rng(seed)
    shared = [number for number, rows in enumerate(rows_of) if len(np.unique(person[rows])) > 1]
    if len(classes) < 2 or not shared:
        raise InputError("pairs of one and of two expressions need two classes, and two people who show one of them")
    first = np.concatenate([random.choice(shared, count // 2), random.integers(len(classes), size=count - count // 2)])
    other = (first + random.integers(1, len(classes), size=count)) % len(classes)
    second = np.where(np.arange(count) < count // 2, first, other)
    a, b = (_draw(rows_of, drawn, random) for drawn in (first, second))
    apart = person[a] != person[b]
    a, b, same = a[apart], b[apart], (first == second)[apart]
    units = unit_rows(vectors)
    return Pairs(np.einsum("pd,pd->p", units[a], units[b], dtype=np.float64), same)


def _draw(
    rows_of: Sequence[NDArray[np.int64]], classes: NDArray[np.int64], random: np.random.Generator
) -> NDArray[np.int64]:
    """Return one row of each class that was drawn."""
    chosen_rows = np.empty(len(classes), np.int64)
    for number, rows in enumerate(rows_of):
        places = np.flatnonzero(classes == number)
        chosen_rows[places] = random.choice(rows, len(places))
    return chosen_rows


def fit_curve(pairs: Pairs) -> tuple[float, float]:
    """Return slope and intercept of the logistic curve from a pair's cosine to the probability of one expression.

    Platt's scaling; both kinds of pairs weigh the same, whatever their number.
    """
    from sklearn.linear_model import LogisticRegression

    # The prior is weak beside many pairs, and keeps the slope finite where a few are told apart without an error.
    fitted = LogisticRegression(C=1e3, class_weight="balanced", max_iter=1000)
    fitted.fit(pairs.cosines[:, None], pairs.same)
    return float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
