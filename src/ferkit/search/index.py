"""Exact nearest neighbours by cosine, for sets that fit in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError

__all__ = ["FlatIndex"]

_BLOCK = 65_536

Rows = NDArray[np.floating[Any]]


class FlatIndex:
    """All vectors of a set, compared one by one (FAISS ``IndexFlatIP`` over vectors of length 1).

    Args:
        vectors: (N, D) of any length, finite, D at least 1; a memory map is read block by block. Row number is id.

    Raises:
        InputError: another shape.
    """

    def __init__(self, vectors: Rows) -> None:
        import faiss  # loads slowly, and pre-training never needs it

        if vectors.ndim != 2 or vectors.shape[1] < 1:
            raise InputError(f"an index needs (N, D) vectors, not an array of shape {vectors.shape}")
        self._index = faiss.IndexFlatIP(vectors.shape[1])
        for start in range(0, len(vectors), _BLOCK):
            self._index.add(_unit_rows(vectors[start : start + _BLOCK]))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dim(self) -> int:
        """Length of the vectors."""
        return int(self._index.d)

    def query(
        self, vectors: Rows, k: int = 10, *, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the most similar vectors of the index, best first.

        Args:
            vectors: (Q, D) of any length, finite; a vector of zeros has the cosine 0 with everything.
            k: how many to return, at least 1.
            allowed: (N,) which ones may be returned; None for all.

        Returns:
            (Q, K) cosines in [-1, 1] up to rounding and (Q, K) ids, K the smaller of ``k`` and the allowed ones.

        Raises:
            InputError: another shape, or ``k`` below 1.
        """
        self._check(vectors, k, allowed)
        k = min(k, len(self) if allowed is None else int(allowed.sum()))
        if k == 0:
            return np.empty((len(vectors), 0), np.float32), np.empty((len(vectors), 0), np.int64)
        scores, ids = self._index.search(_unit_rows(vectors), k, params=_only(allowed))
        return scores, ids

    def _check(self, vectors: Rows, k: int, allowed: NDArray[np.bool_] | None) -> None:
        if vectors.ndim != 2 or vectors.shape[1] != self.dim:
            raise InputError(f"the index holds vectors of {self.dim}; the query has the shape {vectors.shape}")
        if k < 1:
            raise InputError(f"{k} results were asked for; ask for 1 or more")
        if allowed is not None and (allowed.dtype != np.bool_ or allowed.shape != (len(self),)):
            raise InputError(f"`allowed` must be ({len(self)},) booleans, not {allowed.shape} {allowed.dtype}")


def _unit_rows(vectors: Rows) -> NDArray[np.float32]:
    import faiss

    rows = np.array(vectors, dtype=np.float32, order="C")
    faiss.normalize_L2(rows)
    return rows


def _only(allowed: NDArray[np.bool_] | None) -> Any:  # noqa: ANN401 (a FAISS object)
    """Return FAISS's search parameters that leave out all that is not allowed."""
    import faiss

    if allowed is None:
        return None
    bits = np.packbits(allowed, bitorder="little")
    # FAISS's type stubs describe the C++ constructors, not the Python ones.
    return faiss.SearchParameters(sel=faiss.IDSelectorBitmap(bits))  # type: ignore[call-arg, arg-type]
