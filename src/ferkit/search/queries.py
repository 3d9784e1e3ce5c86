"""What is asked for, as vectors: examples and counter-examples, put together by one of two rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.search.index import Ids, Mask, Rows, over_blocks
from ferkit.search.retrieve_settings import BEST, MEAN, require_rule

if TYPE_CHECKING:
    from ferkit.search.searcher import Searcher

Floats = NDArray[np.float64]

_SAME = 1e-6


@dataclass(frozen=True, eq=False)
class Query:
    """Examples of what is wanted, and of what is not."""

    positives: Rows  # (P, D) of length 1, P at least 1
    negatives: Rows  # (M, D) of length 1
    # ``mean`` scores by the cosine with 2 mean(positives) - mean(negatives); ``best`` by the nearest positive's cosine
    # less the nearest negative's. Both are what vector databases offer (Qdrant's ``average_vector`` and ``best_score``)
    rule: str = MEAN

    def __post_init__(self) -> None:
        require_rule(self.rule)

    def direction(self) -> Floats | None:
        """Return the (D,) vector of length 1 whose cosines are the scores; None where no single one gives them.

        Raises:
            InputError: the examples cancel out.
        """
        if self.rule == BEST and len(self.positives) + len(self.negatives) > 1:
            return None
        mean = self.positives.mean(axis=0, dtype=np.float64)
        if not len(self.negatives):
            return _unit(mean, "the examples cancel out: there is nothing that they share")
        away = 2 * mean - self.negatives.mean(axis=0, dtype=np.float64)
        return _unit(away, "examples and counter-examples are the same: nothing is left to look for")

    def scores(self, vectors: Rows) -> Floats:
        """Return the (N,) scores of (N, D) vectors of length 1: cosines, or differences of two in [-2, 2]."""
        direction = self.direction()
        if direction is not None:
            return np.asarray(vectors @ direction.astype(vectors.dtype), np.float64)
        nearest = (vectors @ self.positives.T).max(axis=1).astype(np.float64)
        if len(self.negatives):
            nearest -= (vectors @ self.negatives.T).max(axis=1)
        return np.asarray(nearest)


def nearest(searcher: Searcher, query: Query, k: int, allowed: Mask | None) -> tuple[Floats, Ids]:
    """Return the (K,) best scores and their rows of a set, best first; raises as `Searcher.query`.

    One direction goes through the set's index. The rule ``best`` has none: all vectors are compared.
    """
    direction = query.direction()
    if direction is not None:
        cosines, ids = searcher.query(direction, k, allowed)
        return cosines.astype(np.float64), ids
    scores = np.asarray(over_blocks(searcher.set.vectors, query.scores), np.float64)
    kept = np.arange(len(scores)) if allowed is None else np.flatnonzero(allowed)
    rows = kept[np.argsort(-scores[kept], kind="stable")[:k]]
    return scores[rows], rows


def change(before: Rows, after: Rows) -> Query:
    """Return the query for what changed between two photos of a person: the direction from one vector to the other.

    What both share, such as the person, is in neither.

    Args:
        before: (D,) of length 1.
        after: (D,) of length 1.

    Raises:
        InputError: both are the same.
    """
    difference = np.asarray(after, np.float64) - before
    direction = _unit(difference, "both photos have the same vector: nothing changed")
    return Query(direction[None], np.empty((0, len(before))))


def _unit(vector: Floats, why: str) -> Floats:
    length = float(np.linalg.norm(vector))
    if length < _SAME:
        raise InputError(why)
    return vector / length
