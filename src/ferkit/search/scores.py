"""What a score means: the probability of the same expression, and where it stands within the set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ferkit.search.index import Ids, Rows, over_blocks
from ferkit.search.queries import Query

if TYPE_CHECKING:
    from ferkit.encoders.expression_head import ExpressionHead

GOOD = 0.5
"""Least probability of a good match."""

_SAMPLE = 65_536

Floats = NDArray[np.float64]


def same_probabilities(
    head: ExpressionHead | None, examples: Rows, vectors: Rows, rows: Ids | None = None
) -> Floats | None:
    """Return the probabilities that faces show the expression of the examples: the mean over them.

    Args:
        head: of the vectors' encoder; None, or one without a curve, gives None.
        examples: (P, D) of length 1.
        vectors: (N, D) of length 1.
        rows: (n,) of those that are compared; None for all.

    Returns:
        (N,) or (n,) in [0, 1].
    """
    if head is None or head.same is None:
        return None
    directions = examples.T.astype(np.float64)
    likely = over_blocks(
        vectors, lambda block: head.same_probability(block.astype(np.float64) @ directions).mean(axis=1), rows
    )
    return np.asarray(likely, np.float64)


def class_probabilities(head: ExpressionHead, name: str, vectors: Rows) -> Floats:
    """Return the (N,) probabilities that faces with (N, D) vectors show a class of the head."""
    column = head.column(name)
    return np.asarray(over_blocks(vectors, lambda block: head.probabilities(block)[:, column]), np.float64)


def percentiles(query: Query, scores: Floats, vectors: Rows) -> Floats:
    """Return the (K,) shares in percent of a set's faces that score lower; of a large set, of 65,536 spread evenly.

    Args:
        query: what was asked.
        scores: (K,) of the hits.
        vectors: (N, D) of length 1, all of the set, N at least 1.
    """
    rows = np.linspace(0, len(vectors) - 1, min(len(vectors), _SAMPLE)).astype(np.int64)
    all_scores = np.sort(over_blocks(vectors, query.scores, None if len(rows) == len(vectors) else rows))
    # float32 sums differ by the order of their terms; a hit is not below itself.
    return 100 * np.searchsorted(all_scores, scores - 1e-6) / len(rows)
