"""Rows of embeddings beside what is known of them: the checks that all protocols share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError

Rows = NDArray[np.floating[Any]]
"""(N, D) embeddings; a row that is not finite says that no face was found."""

Answers = NDArray[np.object_]
"""(N,) predicted labels; None where there was no face to judge."""


_BLOCK = 1024


def has_embedding(vectors: Rows) -> NDArray[np.bool_]:
    """Return (N,) False for the faceless rows, which hold a value that is not finite."""
    return np.asarray(np.isfinite(vectors).all(axis=1))


def unit_rows(vectors: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Bring the rows of (N, D) vectors to length 1, in their own precision; rows of zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=vectors.dtype)


def row_blocks(rows: NDArray[np.intp], size: int | None = None) -> list[NDArray[np.intp]]:
    """Part row numbers into blocks of ``size``, or so that a product of one with all other rows fits into memory."""
    size = size or _BLOCK
    return np.split(rows, range(size, len(rows), size))


def coverage(vectors: Rows) -> float:
    """Return the share of rows that hold an embedding, in [0, 1]."""
    return float(has_embedding(vectors).mean())


def numbered_groups(names: Sequence[str | None]) -> NDArray[np.int64]:
    """Return (N,) numbers from 0, the same for equal names; each None is a group of its own."""
    different = sorted({name for name in names if name is not None})
    number = {name: place for place, name in enumerate(different)}
    alone = iter(range(len(different), len(different) + len(names)))
    return np.array([next(alone) if name is None else number[name] for name in names], np.int64)


def check_rows(vectors: Rows, **columns: Sequence[Any] | NDArray[Any]) -> None:
    """Raise an InputError unless the vectors are (N, D), N at least 1, and every column has N entries."""
    if vectors.ndim != 2:
        raise InputError(f"vectors of shape {vectors.shape} were given; give rows, (number of faces, dimensions)")
    if not len(vectors):
        raise InputError("there are no vectors to judge; give at least one")
    for name, column in columns.items():
        if len(column) != len(vectors):
            raise InputError(f"{len(vectors)} vectors do not match {len(column)} {name}; give one for each")


def check_parts(
    train: Rows,
    train_labels: Sequence[Any] | NDArray[Any],
    test: Rows,
    test_labels: Sequence[Any] | None = None,
    train_identities: Sequence[str | None] | None = None,
) -> None:
    """Raise an InputError unless both parts can be used: lengths and widths match, every row has its label."""
    check_rows(train, labels=train_labels, **({} if train_identities is None else {"identities": train_identities}))
    check_rows(test, **({} if test_labels is None else {"labels": test_labels}))
    if train.shape[1] != test.shape[1]:
        raise InputError(
            f"training vectors of shape {train.shape} and test vectors of shape {test.shape} do not go together; "
            "embed both parts with one encoder"
        )
    for labels in (train_labels, test_labels or ()):
        if missing := sum(label is None for label in labels):
            raise InputError(f"{missing} of {len(labels)} rows have no label; leave them out")
