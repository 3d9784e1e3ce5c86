"""Exact nearest neighbours by cosine; the vectors stay where they are, in memory or mapped from a file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError, SetError

__all__ = ["FlatIndex"]

_BLOCK = 16_384
_QUERIES = 256
_SPARSE = 8  # of fewer rows than one in so many, the vectors are copied out; else all of the block are compared

Rows = NDArray[np.floating[Any]]
Scores = NDArray[np.float32]
Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]


class FlatIndex:
    """All vectors of a set, compared one by one, block by block; nothing is built and no block is copied.

    Args:
        vectors: (N, D), D at least 1; a memory map is read at each query. Row number is id.
        unit: whether every vector has length 1, as those of an embedding set; else lengths are taken at each query.

    Raises:
        InputError: another shape.
    """

    def __init__(self, vectors: Rows, *, unit: bool = False) -> None:
        if vectors.ndim != 2 or vectors.shape[1] < 1:
            raise InputError(f"an index needs (N, D) vectors, not an array of shape {vectors.shape}")
        self._vectors = vectors.view(np.ndarray)
        self._unit = unit

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return int(self._vectors.shape[1])

    def query(self, vectors: Rows, k: int = 10, *, allowed: Mask | None = None) -> tuple[Scores, Ids]:
        """Return the most similar vectors of the index, best first.

        Args:
            vectors: (Q, D) of any length, finite; a vector of zeros has the cosine 0 with everything.
            k: how many to return, at least 1.
            allowed: (N,) which ones may be returned; None for all.

        Returns:
            (Q, K) cosines in [-1, 1] up to rounding and (Q, K) ids, K the smaller of ``k`` and the allowed ones.

        Raises:
            InputError: another shape, a query that is not finite, or ``k`` below 1.
            SetError: a vector of the index is not made of finite numbers.
        """
        self._check(vectors, k, allowed)
        k = min(k, len(self) if allowed is None else int(np.count_nonzero(allowed)))
        queries = _unit_rows(vectors)
        groups = [queries[start : start + _QUERIES] for start in range(0, len(queries), _QUERIES)]
        ids = [np.empty((0, k), np.int64), *(self._nearest(group, k, allowed) for group in groups)]
        return self._ranked(queries, np.concatenate(ids))

    def _check(self, vectors: Rows, k: int, allowed: Mask | None) -> None:
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise InputError(f"the index holds vectors of {self.dim}; the query has the shape {vectors.shape}")
        if not np.isfinite(vectors).all():
            raise InputError("the query is not made of finite numbers")
        if k < 1:
            raise InputError(f"{k} results were asked for; ask for 1 or more")
        if allowed is not None and (allowed.dtype != np.bool_ or allowed.shape != (len(self),)):
            raise InputError(f"`allowed` must be ({len(self)},) booleans, not {allowed.shape} {allowed.dtype}")

    def _nearest(self, queries: Rows, k: int, allowed: Mask | None) -> Ids:
        """Return (Q, k) ids of the nearest, in any order."""
        best, ids = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        for rows, scores in self._scores(queries.astype(np.float32), allowed) if k else ():
            if not np.isfinite(scores).all():
                row = rows[int(np.isfinite(scores).all(axis=0).argmin())]
                raise SetError(f"vector {row} of the set is not made of finite numbers; run `ferkit embed` again")
            top = _largest(scores, k)
            best = np.concatenate([best, np.take_along_axis(scores, top, axis=1)], axis=1)
            ids = np.concatenate([ids, rows[top]], axis=1)
            top = _largest(best, k)
            best, ids = np.take_along_axis(best, top, axis=1), np.take_along_axis(ids, top, axis=1)
        return ids

    def _scores(self, queries: Scores, allowed: Mask | None) -> Iterator[tuple[Ids, Scores]]:
        """Yield (n,) ids and the (Q, n) cosines with them, of all that are allowed, block by block."""
        for start in range(0, len(self), _BLOCK):
            block = self._vectors[start : start + _BLOCK]
            kept = np.arange(len(block)) if allowed is None else np.flatnonzero(allowed[start : start + _BLOCK])
            if not len(kept):
                continue
            copied = len(kept) * _SPARSE < len(block)
            scores = self._cosines(queries, block[kept] if copied else block)
            yield start + kept, scores if copied or len(kept) == len(block) else scores[:, kept]

    def _cosines(self, queries: Scores, block: Rows) -> Scores:
        units = np.asarray(block if self._unit else _unit_rows(block), np.float32)
        return queries @ units.T

    def _ranked(self, queries: Rows, ids: Ids) -> tuple[Scores, Ids]:
        """Return the cosines with (Q, k) ids, in double precision, and the ids, best first; of equals the first row."""
        scores = np.empty(ids.shape, np.float32)
        for query, mine, row in zip(queries, ids, scores, strict=True):
            mine.sort()
            for start in range(0, len(mine), _BLOCK):
                row[start : start + _BLOCK] = _unit_rows(self._vectors[mine[start : start + _BLOCK]]) @ query
        order = np.argsort(-scores, axis=1, kind="stable")
        return np.take_along_axis(scores, order, axis=1), np.take_along_axis(ids, order, axis=1)


def _largest(scores: Scores, k: int) -> NDArray[np.intp]:
    """Return (Q, k or fewer) places of the largest scores of each row, in any order."""
    if scores.shape[1] <= k:
        return np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    return np.argpartition(scores, scores.shape[1] - k, axis=1)[:, -k:]


def _unit_rows(vectors: Rows) -> NDArray[np.float64]:
    rows = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)
