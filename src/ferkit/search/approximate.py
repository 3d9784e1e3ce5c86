"""Approximate nearest neighbours for large sets: FAISS names candidates, the vectors themselves decide.

An index is one file beside the set: what FAISS wrote, then a line of JSON that says what it is of, its length and a
mark at the very end, so that a file that is cut short or of another set is known before FAISS reads it. An index of the
kind ``disk`` has its inverted lists, in which most of its bytes are, in a file beside it, ``emb.TOKEN.lists``.
"""

import ctypes
import glob
import json
import os
import secrets
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ferkit.atomic import atomic_path, remove
from ferkit.data.embedding_set import EmbeddingSet
from ferkit.search.index import FlatIndex, Ids, Mask, Rows, Scores

_MARK = b"ferkit.index.1\n"
_CHUNK = 1 << 22
_EXACT_SHARE = 0.1
"""Share of the rows below which those allowed are compared one by one; above, the index names them."""
_MOST_CANDIDATES = 5_000


@dataclass(frozen=True)
class IndexPlan:
    """How an index is built and asked."""

    kind: str  # ``hnsw``, ``ivf``, ``ivfpq`` or ``disk``
    factory: str  # what FAISS builds, as its `index_factory` reads it
    # cells that are looked into (``ivf``, ``ivfpq``, ``disk``), or nodes that are kept in sight (``hnsw``)
    effort: int = 1
    depth: int = 1  # candidates that are compared exactly, for each result
    recall: float = 0.0  # share of the true 10 nearest that came back for held-out queries


class StaleIndexError(Exception):
    """The file is no index of this set; the message says why."""


def faiss() -> Any:  # noqa: ANN401 (its stubs lag behind)
    """Return the library, which loads slowly."""
    import faiss as library

    return library


@contextmanager
def nothing_printed() -> Iterator[None]:
    """Keep what FAISS prints about lists on the disk away from standard output, where answers go."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        ctypes.CDLL(None).fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


class ApproximateIndex:
    """A FAISS index of vectors that stay where they are; answers as `FlatIndex` does, nearly.

    Few allowed rows, or many results, are searched exactly. Scores always are the cosines themselves.

    Args:
        vectors: (N, D) float32 of length 1, those that the index was built of.
        built: the FAISS index.
        plan: how to ask it.
        lists: file of its inverted lists, where they are on the disk.
    """

    def __init__(self, vectors: Rows, built: Any, plan: IndexPlan, lists: Path | None = None) -> None:  # noqa: ANN401
        self.flat = FlatIndex(vectors, unit=True)
        self.built, self.plan, self.lists = built, plan, lists
        if plan.kind == "disk":
            built.parallel_mode = 1  # the cells of one query side by side

    def query(self, vectors: Rows, k: int = 10, *, allowed: Mask | None = None) -> tuple[Scores, Ids]:
        """Return the most similar vectors, best first: arguments, results and errors as `FlatIndex.query`."""
        queries = self.flat.queries(vectors, k, allowed)
        usable = len(self.flat) if allowed is None else int(np.count_nonzero(allowed))
        wide = max(k, 10) * self.plan.depth
        if usable < max(wide, _EXACT_SHARE * len(self.flat)) or wide > _MOST_CANDIDATES:
            return self.flat.query(vectors, k, allowed=allowed)
        ids = self._candidates(queries, wide, allowed)
        if ids[:, k - 1].min(initial=0) < 0:  # the cells that were looked into hold too few
            return self.flat.query(vectors, k, allowed=allowed)
        return self.flat.ranked(queries, ids, k)

    def _candidates(self, queries: Rows, count: int, allowed: Mask | None) -> Ids:
        effort = max(self.plan.effort, count) if self.plan.kind == "hnsw" else self.plan.effort
        if allowed is None:
            how = _unfiltered(self.plan.kind, effort)
        else:
            selector = faiss().IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
            how = _parameters(self.plan.kind, effort, sel=selector)
        ids: Ids = self.built.search(np.ascontiguousarray(queries, np.float32), count, params=how)[1]
        return ids


def _parameters(kind: str, effort: int, **only: Any) -> Any:  # noqa: ANN401
    if kind == "hnsw":
        return faiss().SearchParametersHNSW(efSearch=effort, **only)
    return faiss().SearchParametersIVF(nprobe=effort, **only)


_unfiltered = lru_cache(_parameters)  # making them takes a tenth of the time of a query


def index_path(embeddings: Path) -> Path:
    """Return where the index of an embedding set lies: ``emb.index`` beside ``emb.npy``."""
    return embeddings.with_suffix(".index")


def lists_path(embeddings: Path) -> Path:
    """Return a new name for the inverted lists of an index on the disk."""
    return index_path(embeddings).with_suffix(f".{secrets.token_hex(4)}.lists")


def remove_index(path: Path, keep: str | None = None) -> None:
    """Remove inverted lists beside an index, but for the file that it names; without one, the index too."""
    for lists in path.parent.glob(f"{glob.escape(path.stem)}.????????.lists"):
        if lists.name != keep:
            remove(lists)
    if keep is None:
        remove(path)
        remove(path.with_name(f"{path.name}.partial"))  # of a build that was killed


def write_faiss(built: Any, path: Path) -> None:  # noqa: ANN401 (an index of FAISS)
    """Write an index as FAISS does; what it cannot write is an `OSError`."""
    try:
        faiss().write_index(built, str(path))
    except RuntimeError as error:
        raise OSError(f"FAISS: {' '.join(str(error).split())[-120:]}") from error


def write_index(index: ApproximateIndex, embeddings: EmbeddingSet, path: Path) -> None:
    """Write an index as one file, whole or not at all; inverted lists on the disk stay where they are.

    Raises:
        OutputError: it cannot be written.
    """
    with atomic_path(path) as temporary:
        write_faiss(index.built, temporary)
        told = {
            "set": embeddings.digest,
            "crc32": crc32_of(temporary),
            "lists": index.lists and [index.lists.name, index.lists.stat().st_size],
            **asdict(index.plan),
        }
        line = json.dumps(told).encode()
        with temporary.open("ab") as file:
            file.write(line + struct.pack("<Q", len(line)) + _MARK)
    if index.lists is not None:
        remove_index(path, keep=index.lists.name)


def read_index(embeddings: EmbeddingSet, path: Path) -> ApproximateIndex:
    """Read the index of an embedding set.

    Raises:
        StaleIndexError: the file is damaged, or of another set.
        FileNotFoundError: there is none.
    """
    plan, size, checksum, lists = _read_plan(embeddings, path)
    if crc32_of(path, size) != checksum:
        raise StaleIndexError("it is damaged")
    library = faiss()
    # Cells stay on the disk until they are looked into; a graph is walked from end to end and comes into memory.
    how = {"hnsw": 0, "disk": library.IO_FLAG_READ_ONLY | library.IO_FLAG_ONDISK_SAME_DIR}
    try:
        with nothing_printed():
            built = library.read_index(str(path), how.get(plan.kind, library.IO_FLAG_MMAP))
    except RuntimeError as error:
        raise StaleIndexError("FAISS cannot read it") from error
    if plan.kind == "ivf":
        library.downcast_InvertedLists(
            built.invlists
        ).prefetch_nthread = 0  # starting threads takes longer than reading
    if (built.ntotal, built.d) != embeddings.vectors.shape:
        raise StaleIndexError("it is of another set")
    return ApproximateIndex(embeddings.vectors, built, plan, lists)


def _read_plan(embeddings: EmbeddingSet, path: Path) -> tuple[IndexPlan, int, int, Path | None]:
    """Return what the end of the file says, how many bytes are FAISS's, their checksum, and where the lists are."""
    end = struct.calcsize("<Q") + len(_MARK)
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - end))
        tail = file.read()
        if len(tail) < end or not tail.endswith(_MARK):
            raise StaleIndexError("it is cut short, or was made by another ferkit")
        (length,) = struct.unpack("<Q", tail[: -len(_MARK)])
        begin = size - end - length
        if begin < 0:
            raise StaleIndexError("it is damaged")
        file.seek(begin)
        line = file.read(length)
    try:
        told: dict[str, Any] = json.loads(line)
        of, checksum = told["set"], int(told["crc32"])
        names = str(told["kind"]), str(told["factory"])
        lists, length = told.get("lists") or (None, 0)
        plan = IndexPlan(*names, max(1, int(told["effort"])), max(1, int(told["depth"])), float(told["recall"]))
    except (ValueError, KeyError, TypeError) as error:
        raise StaleIndexError("it is damaged") from error
    if of != embeddings.digest:
        raise StaleIndexError("it is of other vectors than the set now holds")
    file_of_lists = None if lists is None else path.with_name(Path(lists).name)
    if file_of_lists is not None and not (file_of_lists.is_file() and file_of_lists.stat().st_size == length):
        raise StaleIndexError(f"{file_of_lists.name} is missing beside it, or cut short")
    return plan, begin, checksum, file_of_lists


def crc32_of(path: Path, size: int | None = None) -> int:
    """CRC-32 of the first ``size`` bytes of a file, or of all."""
    value, left = 0, path.stat().st_size if size is None else size
    with path.open("rb") as file:
        while left and (chunk := file.read(min(_CHUNK, left))):
            value, left = zlib.crc32(chunk, value), left - len(chunk)
    return value
