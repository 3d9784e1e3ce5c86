"""Make the index of a large embedding set: a file beside it that makes searching faster, and nothing else."""

import re
from dataclasses import dataclass
from pathlib import Path

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.stores import fetch_set
from ferkit.errors import InputError
from ferkit.progress import Progress, Silent
from ferkit.search.approximate import index_path, remove_index, write_index
from ferkit.search.build_index import Measured, build_index, choose_plan, staged_index

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True)
class IndexResult:
    """The index of a set."""

    path: Path | None  # its file; None where the set is searched without one
    kind: str  # ``flat``, ``hnsw``, ``ivf``, ``ivfpq`` or ``disk``
    why: str  # the choice, in a sentence
    rows: int  # vectors of the set
    bytes: int = 0  # size of its files
    # share of the true 10 nearest that came back for held-out queries; 1 without an index
    recall: float = 1.0
    milliseconds: float | None = None  # median time of a query, on this machine and one query at a time
    flat_milliseconds: float | None = None  # the same of an exact search


def index(
    embeddings: str | Path = "emb.npy",
    *,
    kind: str = "auto",
    memory: str | int = "4GB",
    recall: float = 0.95,
    progress: Progress | None = None,
) -> IndexResult:
    """Make the index of an embedding set, or remove it where the set is searched better without.

    The set itself is not touched. Whoever searches it takes the index as long as it fits the set.

    Args:
        embeddings: the ``.npy`` file of an embedding set.
        kind: ``flat``, ``hnsw``, ``ivf``, ``ivfpq``, ``disk``, or ``auto`` to choose by rows, dimension, memory and
            recall.
        memory: what the index may take, such as ``4GB``; or bytes.
        recall: share of the true 10 nearest that should come back.
        progress: told of training, adding and measuring.

    Raises:
        SetError: the set is missing or damaged.
        InputError: an argument is out of range, or the kind does not fit the set or the memory.
        BusyError: another run builds it.
        OutputError: the index cannot be written; a disk index goes on with the parts that are there.
    """
    path, most, progress = fetch_set(Path(embeddings)), _bytes(memory), progress or Silent()
    embedded = EmbeddingSet.open(path)
    rows, file = len(embedded), index_path(path)
    plan, why = choose_plan(rows, embedded.encoder.dim, kind, most, recall, stored=embedded.vectors.nbytes)
    embedded.verify()
    if plan is None or not embedded.normalized:
        remove_index(file)
        return IndexResult(None, "flat", why, rows)
    with staged_index(embedded, plan, most, file) as output:
        built, measured = build_index(embedded, plan, recall, most, progress, output)
        reason = _why_not(measured, recall) if kind == "auto" else None
        remove_index(file) if reason else write_index(built, embedded, file)
        output.discard()
    if reason:
        return IndexResult(None, "flat", f"flat: {plan.kind} {reason}", rows)
    size = sum(part.stat().st_size for part in (file, built.lists) if part)
    return IndexResult(
        file, plan.kind, why, rows, size, measured.recall, measured.milliseconds, measured.flat_milliseconds
    )


def _why_not(measured: Measured, recall: float) -> str | None:
    if measured.recall < recall - 0.02:
        return f"finds {measured.recall:.1%} of the nearest on these vectors, and {recall:.1%} is asked for"
    if measured.milliseconds >= measured.flat_milliseconds:
        return f"takes {measured.milliseconds:.1f} ms a query, exact search {measured.flat_milliseconds:.1f} ms"
    return None


def _bytes(memory: str | int) -> int:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)I?B?\s*", str(memory).upper())
    if match is None or float(match[1]) <= 0:
        raise InputError(f"--memory {memory!r} is no size; give one such as 4GB or 500MB")
    return int(float(match[1]) * _UNITS[match[2]])
