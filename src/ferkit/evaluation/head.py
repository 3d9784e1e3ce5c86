"""From labelled vectors to an expression head: prototypes, a calibrated linear classifier, valence and arousal."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ferkit.data.expressions import EXPRESSIONS
from ferkit.encoders.expression_head import ExpressionHead
from ferkit.errors import InputError
from ferkit.evaluation.affect import affect_answers
from ferkit.evaluation.calibration import fit_temperature
from ferkit.evaluation.linear import linear_answers
from ferkit.evaluation.rows import Rows, unit_rows


def fit_head(
    encoder: str, vectors: Rows, labels: Sequence[str], people: Sequence[str | None] | None = None
) -> ExpressionHead:
    """Fit prototypes and `linear_answers`'s classifier on an encoder's vectors; its temperature is 1.

    Args:
        encoder: sha256 of the encoder's weights.
        vectors: (N, D) of length 1.
        labels: N classes, at least two; the head's are in the order of `EXPRESSIONS`.
        people: who they are, see `linear_answers`.

    Raises:
        InputError: as `linear_answers`, or the faces of a class have the mean zero.
    """
    model = linear_answers(vectors, labels, vectors[:1], train_identities=people).model
    order = sorted(range(len(model.classes)), key=lambda number: _place(model.classes[number]))
    classes, names = tuple(model.classes[number] for number in order), np.asarray(labels)
    means = np.stack([vectors[names == name].mean(axis=0, dtype=np.float64) for name in classes])
    if not means.any(axis=1).all():
        raise InputError("the vectors of a class cancel out, so it has no prototype; give more faces")
    prototypes = unit_rows(means).astype(np.float32)
    weight, bias = model.weights[order].astype(np.float32), model.bias[order].astype(np.float32)
    return ExpressionHead(encoder, classes, prototypes, weight, bias)


def _place(name: str) -> tuple[int, str]:
    """Where a class stands: those of `EXPRESSIONS` as there, then others by name."""
    return (EXPRESSIONS.index(name) if name in EXPRESSIONS else len(EXPRESSIONS)), name


def temperature_of(head: ExpressionHead, vectors: Rows, labels: Sequence[str]) -> float:
    """Return the temperature that calibrates a head on faces that it was not fitted on, see `fit_temperature`.

    Args:
        head: as it was fitted.
        vectors: (N, D) of length 1.
        labels: N classes; those that the head does not know are left out.

    Raises:
        InputError: it knows none.
    """
    rows = [row for row, label in enumerate(labels) if label in head.classes]
    true = np.array([head.classes.index(labels[row]) for row in rows], np.int64)
    return fit_temperature(vectors[rows].astype(np.float64) @ head.weight.T.astype(np.float64) + head.bias, true)


def at_temperature(head: ExpressionHead, temperature: float) -> ExpressionHead:
    """Return a head whose logits are divided by ``temperature``."""
    weight, bias = (np.asarray(part / temperature, np.float32) for part in (head.weight, head.bias))
    return replace(head, weight=weight, bias=bias)


def with_affect(
    head: ExpressionHead, vectors: Rows, values: Rows, people: Sequence[str | None] | None = None
) -> ExpressionHead:
    """Return a head that tells valence and arousal as well, by `affect_answers`'s ridge regression.

    Args:
        head: of the same encoder.
        vectors: (N, D) of length 1.
        values: (N, 2) of `DIMENSIONS`, in [-1, 1].
        people: who they are, see `affect_answers`.

    Raises:
        InputError: as `affect_answers`.
    """
    # The answers are affine in the vectors: those at the origin and at the unit vectors tell weights and bias.
    dim = vectors.shape[1]
    probes = np.concatenate([np.zeros((1, dim)), np.eye(dim)])
    bias, *rest = affect_answers(vectors.astype(np.float64), values, probes, train_identities=people).predicted
    weight = np.stack([answer - bias for answer in rest], axis=1)
    return replace(head, affect_weight=weight.astype(np.float32), affect_bias=bias.astype(np.float32))
