"""How well valence and arousal can be read off frozen features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.evaluation.linear import standardise
from ferkit.evaluation.rows import Rows, check_parts, has_embedding, numbered_groups
from ferkit.evaluation.splits import identity_split

ALPHAS = (1e0, 1e1, 1e2, 1e3, 1e4, 1e5)
"""Penalties of the ridge regression that are tried; ferkit defaults."""

DIMENSIONS = ("valence", "arousal")

_HELD_OUT = 5

Values = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class AffectAnswers:
    """What ridge regression says of the test part."""

    # (M, K) values; a faceless row gets the mean of train, the answer of one who cannot see
    predicted: NDArray[np.float64]
    alpha: float  # the penalty that was chosen


def concordance(true: Values, predicted: Values) -> NDArray[np.float64]:
    """Lin's concordance correlation coefficient (Biometrics 45, 1989, p. 255) of each dimension.

    2 cov(t, p) / (var t + var p + (mean t - mean p)²), each moment divided by N. NaN where both are one same constant.

    Args:
        true: (N, K) or (N,).
        predicted: of the same shape.

    Returns:
        (K,) or (), in [-1, 1].
    """
    true, predicted = np.asarray(true, np.float64), np.asarray(predicted, np.float64)
    t, p = true - true.mean(axis=0), predicted - predicted.mean(axis=0)
    apart = (true.mean(axis=0) - predicted.mean(axis=0)) ** 2
    spread = (t**2).mean(axis=0) + (p**2).mean(axis=0) + apart
    together = 2 * (t * p).mean(axis=0)
    return np.asarray(np.divide(together, spread, out=np.full_like(spread, np.nan), where=spread > 0))


def correlation(true: Values, predicted: Values) -> NDArray[np.float64]:
    """Pearson's correlation coefficient of each dimension (PCC), in [-1, 1]; arguments as of `concordance`.

    NaN where a side never changes.
    """
    true, predicted = np.asarray(true, np.float64), np.asarray(predicted, np.float64)
    t, p = true - true.mean(axis=0), predicted - predicted.mean(axis=0)
    spread = np.sqrt((t**2).mean(axis=0) * (p**2).mean(axis=0))
    return np.asarray(np.divide((t * p).mean(axis=0), spread, out=np.full_like(spread, np.nan), where=spread > 0))


def sign_agreement(true: Values, predicted: Values) -> NDArray[np.float64]:
    """Share of the faces whose value has the right sign (SAGR), in [0, 1]; 0 agrees with 0 alone (arXiv:1609.06426)."""
    return np.asarray((np.sign(true) == np.sign(predicted)).mean(axis=0, dtype=np.float64))


def rmse(true: Values, predicted: Values) -> NDArray[np.float64]:
    """Return the (K,) root mean squared errors of (N, K) values."""
    return np.asarray(np.sqrt(np.mean((np.asarray(true, np.float64) - predicted) ** 2, axis=0)))


def affect_answers(
    train: Rows,
    train_values: Values,
    test: Rows,
    *,
    train_identities: Sequence[str | None] | None = None,
    alphas: Sequence[float] = ALPHAS,
    seed: int = 0,
) -> AffectAnswers:
    """Fit ridge regression on standardised features, and let it judge the test part.

    The penalty is the one of the least squared error on a fifth of train, held out; then all of train is fitted with
    it. (The squared error is defined even where all faces of the held-out part have one value; CCC is not.)

    Args:
        train: (N, D) features; faceless rows are left out.
        train_values: (N, K), such as valence and arousal in [-1, 1].
        test: (M, D) features.
        train_identities: N people; the held-out fifth then shows nobody whom the rest shows.
        alphas: penalties to choose from.
        seed: of the choice of the held-out rows.

    Raises:
        InputError: lengths or widths differ, a value is missing or never changes, or there are fewer than two
            people.
    """
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV

    check_parts(train, train_values, test, train_identities=train_identities)
    usable, answerable = has_embedding(train), has_embedding(test)
    values = np.asarray(train_values, np.float64)[usable]
    _check_values(values)
    people = [None] * len(train) if train_identities is None else train_identities
    train_features, test_features = standardise(train[usable], test[answerable])
    there = [people[row] for row in np.flatnonzero(usable).tolist()]
    parts = max(2, min(_HELD_OUT, len(np.unique(numbered_groups(there)))))
    held_out = identity_split([""] * len(there), there, held_out=parts, seed=seed)
    grid = GridSearchCV(
        Ridge(),
        {"alpha": list(alphas)},
        scoring="neg_mean_squared_error",
        cv=[(np.flatnonzero(~held_out), np.flatnonzero(held_out))],
    ).fit(train_features, values)
    predicted = np.tile(values.mean(axis=0), (len(test), 1))
    if answerable.any():
        predicted[answerable] = grid.predict(test_features).reshape(-1, values.shape[1])
    return AffectAnswers(predicted, grid.best_params_["alpha"])


def _check_values(values: Values) -> None:
    if values.ndim != 2:
        raise InputError(f"values of shape {values.shape} were given; give (number of faces, dimensions)")
    missing = int((~np.isfinite(values)).any(axis=1).sum())
    if missing:
        raise InputError(f"{missing} of {len(values)} faces lack a value; leave them out")
    if not (np.ptp(values, axis=0) > 0).all():
        raise InputError(f"a value is the same for all {len(values)} faces, so that nothing can be told; give others")
