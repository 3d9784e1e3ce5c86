"""How well a linear classifier reads expressions off frozen features."""

import os
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ferkit.errors import InputError
from ferkit.evaluation.rows import Answers, Rows, check_parts, has_embedding, numbered_groups
from ferkit.evaluation.splits import identity_split

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Inverse regularisations that are tried (scikit-learn's C); a ferkit default."""

_HELD_OUT = 5
_ITERATIONS = 1000

_EXACT, _ROUGH = 1e-4, 1e-3
"""Where L-BFGS stops, by the gradient: for the answers, and to choose a strength, which takes a third of the time."""

Labels = NDArray[np.str_]


@dataclass(frozen=True, slots=True, eq=False)
class LinearModel:
    """A linear classifier as it stands on raw features."""

    classes: tuple[str, ...]  # C labels
    weights: NDArray[np.float64]  # (C, D)
    bias: NDArray[np.float64]  # (C,)

    def scores(self, features: Rows) -> NDArray[np.float64]:
        """Return (N, C) logits of (N, D) raw features; the largest is the answer."""
        return np.asarray(features @ self.weights.T + self.bias)


@dataclass(frozen=True, slots=True, eq=False)
class LinearAnswers:
    """What a linear classifier says of the test part."""

    predicted: Answers  # (M,) labels; None for a faceless row
    strength: float  # the inverse regularisation that was chosen
    held_out: dict[float, float]  # accuracy on the held-out part of train with each one that was tried
    model: LinearModel  # the classifier itself


def linear_answers(
    train: Rows,
    train_labels: Sequence[str],
    test: Rows,
    *,
    train_identities: Sequence[str | None] | None = None,
    strengths: Sequence[float] = STRENGTHS,
    seed: int = 0,
) -> LinearAnswers:
    """Fit multinomial logistic regression (L-BFGS) on standardised features, and let it judge the test part.

    It minimises |W|²/2 + C Σ cross-entropy. C is the one of ``strengths`` that does best on a fifth of train, held out;
    then all of train is fitted with it.

    Args:
        train: (N, D) features; their mean and deviation standardise both parts. Faceless rows are left out.
        train_labels: N labels, of at least two classes, one of them with two rows.
        test: (M, D) features.
        train_identities: N people; the held-out fifth then shows nobody whom the rest shows. None takes a fifth of
            each class, so that every class stays in the rest.
        strengths: inverse regularisations to choose from.
        seed: of the choice of the held-out rows.

    Raises:
        InputError: lengths or widths differ, a label is missing, or there is too little to fit, to choose by or to
            judge.
    """
    check_parts(train, train_labels, test, train_identities=train_identities)
    usable, answerable = has_embedding(train), has_embedding(test)
    labels = np.asarray(train_labels)[usable]
    if len(np.unique(labels)) < 2:
        raise InputError("a classifier needs training rows of at least two labels")
    people = None if train_identities is None else [train_identities[row] for row in np.flatnonzero(usable).tolist()]
    train_features, test_features = standardise(train[usable], test[answerable])
    with _quietly():
        accuracies = _try(train_features, labels, _held_out(labels, people, seed), strengths)
        best = max(accuracies, key=lambda strength: accuracies[strength])
        fitted = _fit(train_features, labels, best, _EXACT)
    answers = np.full(len(test), None, object)
    if answerable.any():
        answers[answerable] = fitted.predict(test_features)
    return LinearAnswers(answers, best, accuracies, _model(fitted, *_moments(train[usable])))


def standardise(train: Rows, test: Rows) -> tuple[Rows, Rows]:
    """Bring both parts to the mean 0 and the deviation 1 that the training part then has, in its own precision.

    Args:
        train: (N, D), finite.
        test: (M, D), finite.
    """
    mean, scale = _moments(train)
    precision = np.result_type(train.dtype, np.float32)
    train_features, test_features = (((part - mean) / scale).astype(precision) for part in (train, test))
    return train_features, test_features


def _moments(train: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the (D,) means, and what to divide by."""
    mean, deviation = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    # A feature that never changes carries nothing; leave it at zero.
    return mean, np.where(deviation > 0, deviation, 1)


def _model(fitted: Any, mean: NDArray[np.float64], scale: NDArray[np.float64]) -> LinearModel:  # noqa: ANN401
    """Take the standardising into the weights."""
    weights, bias = fitted.coef_ / scale, fitted.intercept_
    bias = bias - weights @ mean
    if len(fitted.classes_) == 2:  # scikit-learn keeps the difference of the two alone
        weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    return LinearModel(tuple(map(str, fitted.classes_)), weights, bias)


def _try(features: Rows, labels: Labels, held_out: NDArray[np.bool_], strengths: Sequence[float]) -> dict[float, float]:
    """Return the accuracy on the held-out rows with each strength; the fits run side by side."""
    rest = ~held_out
    if len(np.unique(labels[rest])) < 2:
        raise InputError("without its held-out part, training has rows of one label alone; give faces of more people")

    train_features, test_features = features[rest], features[held_out]

    def judge(strength: float) -> float:
        answers = _fit(train_features, labels[rest], strength, _ROUGH).predict(test_features)
        return float(np.mean(answers == labels[held_out]))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(strengths, pool.map(judge, strengths), strict=True))


@contextmanager
def _quietly() -> Iterator[None]:
    """Give each fit one thread, and do not warn of one that stopped early.

    A fit of thousands of products of milliseconds gains little from a second core, and where another process holds that
    core, each product waits for it: 30,000 x 512 on two busy cores takes 5 s so, and 80 s with two threads. Where
    features outnumber what they tell, the last iterations move weights and no answers. Both settings hold for the whole
    process, so they enclose all fits.
    """
    from sklearn.exceptions import ConvergenceWarning

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _fit(features: Rows, labels: Labels, strength: float, tolerance: float) -> Any:  # noqa: ANN401 (scikit-learn has no types)
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=_ITERATIONS, tol=tolerance).fit(features, labels)


def _held_out(labels: Labels, identities: Sequence[str | None] | None, seed: int) -> NDArray[np.bool_]:
    """Mark the rows to choose by: a fifth, or more where no label has five rows or there are fewer people."""
    most = max(Counter(labels.tolist()).values())
    if most < 2:
        raise InputError("no class has two training rows, so none can be held out to choose the regularisation")
    if identities is not None:
        parts = max(2, min(_HELD_OUT, most, len(np.unique(numbered_groups(identities)))))
        return identity_split(labels.tolist(), identities, held_out=parts, seed=seed)
    random = np.random.default_rng(seed)
    held_out = np.zeros(len(labels), dtype=bool)
    for name in np.unique(labels):
        rows = random.permutation(np.flatnonzero(labels == name))
        # A class of two to four rows gives one, a class of one row none.
        held_out[rows[: max(len(rows) // _HELD_OUT, min(1, len(rows) - 1))]] = True
    return held_out
