"""Vectors as they lie on the disk: in one file or many, of 32 bits or 16."""

import hashlib
import mmap
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

_KEPT = 1 << 30
_DIGEST_ROWS = 256  # enough to tell two sets apart, few enough to check on every opening
_HASHED_BYTES, _HASHING_THREADS = 1 << 26, 4
_A_ROW = 1 << 21  # what the system may map when one row is asked for: Linux, a large folio


def release(vectors: "NDArray[Any] | StoredVectors") -> None:
    """Let go of the pages that were read of vectors in files; the system reads them again when they are asked for."""
    for part in vectors._parts if isinstance(vectors, StoredVectors) else [vectors]:
        if isinstance(part.base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            part.base.madvise(mmap.MADV_DONTNEED)


def sample_digest(vectors: NDArray[np.float32]) -> str:
    """Digest the shape and evenly spaced rows, first and last included; the whole would take minutes when large."""
    rows = np.linspace(0, len(vectors) - 1, min(len(vectors), _DIGEST_ROWS)).astype(np.int64)
    digest = hashlib.sha256(repr(vectors.shape).encode() + vectors[rows].astype("<f4").tobytes()).hexdigest()
    release(vectors)
    return digest


def vectors_digest(vectors: NDArray[np.float32]) -> str:
    """Digest the shape and all vectors: the SHA-256 of those of blocks, which several cores share.

    Of vectors in files, however many, no more than these blocks are in memory.
    """
    step = max(1, _HASHED_BYTES // max(1, vectors.shape[1] * 4))

    def block_digest(start: int) -> bytes:
        digest = hashlib.sha256(np.ascontiguousarray(vectors[start : start + step], "<f4").data).digest()
        release(vectors)
        return digest

    with ThreadPoolExecutor(min(_HASHING_THREADS, os.cpu_count() or 1)) as threads:
        digests = threads.map(block_digest, range(0, len(vectors), step))
        return hashlib.sha256(repr(vectors.shape).encode() + b"".join(digests)).hexdigest()


class StoredVectors:
    """Vectors of one or several files as one (N, D) float32 array that is only read.

    Blocks within a file of float32 are not copied; those of float16 are as they are asked for. Of what was read, about
    a gigabyte stays in this process; the system reads the rest again when it is asked for.

    Args:
        parts: (n, D) float32 or float16, mapped from files.
    """

    ndim = 2
    dtype = np.dtype(np.float32)

    def __init__(self, parts: "Sequence[NDArray[np.floating[Any]] | StoredVectors]") -> None:
        self._parts: list[NDArray[np.floating[Any]]] = []
        for part in parts:
            self._parts += part._parts if isinstance(part, StoredVectors) else [part]
        self._ends = np.cumsum([len(part) for part in self._parts])
        self.shape: tuple[int, int] = (int(self._ends[-1]), parts[0].shape[1])
        self._read = 0

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """Bytes of all vectors on the disk."""
        return sum(part.nbytes for part in self._parts)

    def __getitem__(self, rows: Any) -> NDArray[np.float32]:  # noqa: ANN401 (an index, as numpy takes it)
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            return self._block(start, stop) if step == 1 else self._rows(np.arange(start, stop, step))
        numbers = np.asarray(rows)
        if numbers.dtype == np.bool_:
            numbers = np.flatnonzero(numbers)
        found = self._rows(np.atleast_1d(numbers))
        return cast("NDArray[np.float32]", found if numbers.ndim else found[0])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: ANN401 (as numpy has it)
        return np.asarray(self._block(0, len(self)), dtype)

    def _block(self, start: int, stop: int) -> NDArray[np.float32]:
        self._count((stop - start) * self.shape[1] * self._parts[0].itemsize)
        pieces = []
        for end, part in zip(self._ends, self._parts, strict=True):
            first = end - len(part)
            if first < stop and start < end:
                pieces.append(part[max(0, start - first) : stop - first])
        if not pieces:
            return np.empty((0, self.shape[1]), np.float32)
        return np.asarray(pieces[0] if len(pieces) == 1 else np.concatenate(pieces), np.float32)

    def _rows(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        rows = np.where(rows < 0, rows + len(self), rows)
        if rows.size and not (rows.min() >= 0 and rows.max() < len(self)):
            raise IndexError(f"a row of {rows.min()} to {rows.max()} in a set of {len(self)}")
        found = np.empty((len(rows), self.shape[1]), np.float32)
        owners = np.searchsorted(self._ends, rows, side="right")
        for owner in np.unique(owners):
            mine = owners == owner
            part = self._parts[owner]
            self._count(min(int(mine.sum()) * _A_ROW, part.nbytes))
            found[mine] = part[rows[mine] - (self._ends[owner] - len(part))]
        return found

    def _count(self, size: int) -> None:
        """Let go of the pages that were read, once they are many."""
        self._read += size
        if self._read > _KEPT < self.nbytes:
            self._read = size
            release(self)
