"""Exact nearest neighbours by cosine; the vectors stay where they are, in memory or mapped from a file."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError, SetError

_BLOCK = 16_384
_QUERIES = 256
_SPARSE = 8  # of fewer rows than one in so many, the vectors are copied out; else all of the block are compared
_LENGTH_TOLERANCE = 1e-3  # float32 leaves 1e-6, half precision would leave 5e-4

Rows = NDArray[np.floating[Any]]
Scores = NDArray[np.float32]
Ids = NDArray[np.int64]
Mask = NDArray[np.bool_]


class FlatIndex:
    """All vectors of a set, compared one by one, block by block; nothing is built and no block is copied.

    Attributes:
        vectors: (N, D) as they were given.

    Args:
        vectors: (N, D), D at least 1; a memory map is read at each query. Row number is id.
        unit: whether every vector has length 1, as those of an embedding set; else lengths are taken at each query.

    Raises:
        InputError: another shape.
    """

    def __init__(self, vectors: Rows, *, unit: bool = False) -> None:
        if vectors.ndim != 2 or vectors.shape[1] < 1:
            raise InputError(f"an index needs (N, D) vectors, not an array of shape {vectors.shape}")
        self.vectors = vectors.view(np.ndarray) if isinstance(vectors, np.ndarray) else vectors
        self._unit = unit

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return int(self.vectors.shape[1])

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
            SetError: a vector that was met is damaged: not of finite numbers, or found and not of length 1 where it
                should be.
        """
        queries = self.queries(vectors, k, allowed)
        k = min(k, len(self) if allowed is None else int(np.count_nonzero(allowed)))
        groups = [queries[start : start + _QUERIES] for start in range(0, len(queries), _QUERIES)]
        ids = [np.empty((0, k), np.int64), *(self._nearest(group, k, allowed) for group in groups)]
        return self.ranked(queries, np.concatenate(ids), k)

    def queries(self, vectors: Rows, k: int, allowed: Mask | None) -> NDArray[np.float64]:
        """Return (Q, D) vectors at length 1, those of zeros as they are; arguments and errors as those of `query`."""
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise InputError(f"the index holds vectors of {self.dim}; the query has the shape {vectors.shape}")
        if k < 1:
            raise InputError(f"{k} results were asked for; ask for 1 or more")
        if allowed is not None and (allowed.dtype != np.bool_ or allowed.shape != (len(self),)):
            raise InputError(f"`allowed` must be ({len(self)},) booleans, not {allowed.shape} {allowed.dtype}")
        if not np.isfinite(vectors).all():
            raise InputError("the query is not made of finite numbers")
        return unit_rows(vectors)

    def _nearest(self, queries: Rows, k: int, allowed: Mask | None) -> Ids:
        """Return (Q, k) ids of the nearest, in any order."""
        each = np.arange(len(queries))[:, None]
        best, ids = np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64)
        for rows, scores in self._scores(queries.astype(np.float32), allowed) if k else ():
            if not np.isfinite(scores).all():
                raise _damaged(rows[int(np.isfinite(scores).all(axis=0).argmin())])
            top = _largest(scores, k)
            best, ids = np.hstack([best, scores[each, top]]), np.hstack([ids, rows[top]])
            if best.shape[1] > k:
                top = _largest(best, k)
                best, ids = best[each, top], ids[each, top]
        return ids

    def _scores(self, queries: Scores, allowed: Mask | None) -> Iterator[tuple[Ids, Scores]]:
        """Yield (n,) ids and the (Q, n) cosines with them, of all that are allowed, block by block."""
        kept = None if allowed is None else np.flatnonzero(allowed)
        if kept is not None and len(kept) * _SPARSE < len(self):
            for start in range(0, len(kept), _BLOCK):
                rows = kept[start : start + _BLOCK]
                yield rows, self._cosines(queries, self.vectors[rows])
            return
        for start in range(0, len(self), _BLOCK):
            scores = self._cosines(queries, self.vectors[start : start + _BLOCK])
            if kept is None:
                yield np.arange(start, start + scores.shape[1]), scores
            elif len(rows := kept[slice(*np.searchsorted(kept, [start, start + _BLOCK]))]):
                yield rows, scores[:, rows - start]

    def _cosines(self, queries: Scores, block: Rows) -> Scores:
        units = np.asarray(block if self._unit else unit_rows(block), np.float32)
        return queries @ units.T

    def ranked(self, queries: Rows, ids: Ids, k: int) -> tuple[Scores, Ids]:
        """Return the best ``k`` of some candidates for each query, by their cosines in double precision.

        Args:
            queries: (Q, D) of length 1, or 0.
            ids: (Q, C) of the candidates, C at least ``k`` or all there are; -1 stands for none.
            k: how many to return; of equals the first rows.
        """
        if ids.shape[1] > 2 * k:
            ids = self._better(queries, ids, 2 * k)
        scores, rows = np.empty((len(ids), k), np.float32), np.empty((len(ids), k), np.int64)
        for place, (query, some) in enumerate(zip(queries, np.sort(ids, axis=1), strict=True)):
            known = some if not k or some[0] >= 0 else some[some >= 0]
            cosines = self._checked_cosines(known, query).astype(np.float32)
            order = np.argsort(-cosines, kind="stable")[:k]
            scores[place], rows[place] = cosines[order], known[order]
        return scores, rows

    def _better(self, queries: Rows, ids: Ids, count: int) -> Ids:
        """Return the ``count`` best of some candidates for each query, in single precision and any order."""
        kept = np.empty((len(ids), count), np.int64)
        for query, mine, row in zip(queries.astype(np.float32), ids, kept, strict=True):
            scores = self._cosines(query[None], self.vectors[mine])
            row[:] = mine[_largest(np.where(mine < 0, -np.inf, scores), count)[0]]
        return kept

    def _checked_cosines(self, ids: Ids, query: Rows) -> NDArray[np.float64]:
        """Return the cosines with some vectors, whose lengths tell those that were damaged on the disk."""
        if len(ids) > _BLOCK:
            parts = [ids[start : start + _BLOCK] for start in range(0, len(ids), _BLOCK)]
            return np.concatenate([self._checked_cosines(part, query) for part in parts])
        vectors = np.asarray(self.vectors[ids], np.float64)
        squares = np.einsum("nd,nd->n", vectors, vectors)
        if not (self._unit and np.abs(squares - 1).max(initial=0) <= _LENGTH_TOLERANCE):
            lengths = np.sqrt(squares)
            off = ~np.isfinite(lengths)
            if self._unit:
                off |= (lengths > 0) & (np.abs(lengths - 1) > _LENGTH_TOLERANCE)
            if off.any():
                raise _damaged(ids[int(off.argmax())])
            squares[squares == 0] = 1
        cosines: NDArray[np.float64] = vectors @ query / np.sqrt(squares)
        return cosines


def _damaged(row: np.int64) -> SetError:
    return SetError(f"vector {row} of the set is damaged; run `ferkit embed` again")


def _largest(scores: Scores, k: int) -> NDArray[np.intp]:
    """Return (Q, k or fewer) places of the largest scores of each row, in any order."""
    if scores.shape[1] <= k:
        return np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    return np.argpartition(scores, scores.shape[1] - k, axis=1)[:, -k:]


def over_blocks(vectors: Rows, compute: Callable[[Rows], Rows], rows: Ids | None = None) -> Rows:
    """Return what ``compute`` gives for (N, D) vectors, or for some rows of them, block by block, as one array."""
    count = len(vectors) if rows is None else len(rows)
    slices = (slice(start, start + _BLOCK) for start in range(0, max(1, count), _BLOCK))
    return np.concatenate([compute(np.asarray(vectors[part if rows is None else rows[part]])) for part in slices])


def unit_rows(vectors: Rows) -> NDArray[np.float64]:
    """Return (N, D) vectors at length 1; those of zeros stay."""
    rows = np.asarray(vectors, np.float64)
    lengths = np.sqrt(np.einsum("nd,nd->n", rows, rows))[:, None]
    lengths[lengths == 0] = 1
    units: NDArray[np.float64] = rows / lengths
    return units
