"""From labelled vectors to an expression head: prototypes, a calibrated linear classifier, valence and arousal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ferkit.data.expressions import EXPRESSIONS
from ferkit.encoders.expression_head import ExpressionHead
from ferkit.errors import InputError
from ferkit.evaluation.calibration import fit_temperature
from ferkit.evaluation.cosine import unit_rows
from ferkit.evaluation.linear import linear_answers
from ferkit.evaluation.rows import Rows

__all__ = ["calibrated", "fit_head"]


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


def calibrated(head: ExpressionHead, vectors: Rows, labels: Sequence[str]) -> ExpressionHead:
    """Return a head whose probabilities are calibrated on faces that it was not fitted on.

    Args:
        head: as it was fitted.
        vectors: (N, D) of length 1.
        labels: N classes; those that the head does not know are left out.

    Raises:
        InputError: it knows none.
    """
    known = [row for row, label in enumerate(labels) if label in head.classes]
    true = np.array([head.classes.index(labels[row]) for row in known], np.int64)
    temperature = fit_temperature(
        vectors[known].astype(np.float64) @ head.weight.T.astype(np.float64) + head.bias, true
    )
    return replace(
        head,
        weight=(head.weight / temperature).astype(np.float32),
        bias=(head.bias / temperature).astype(np.float32),
    )
