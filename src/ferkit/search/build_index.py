"""Choose, train and measure an approximate index."""

import re
import shutil
import time
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferkit._version import __version__
from ferkit.atomic import output_errors
from ferkit.data.embedding_set import EmbeddingSet
from ferkit.errors import InputError, OutputError
from ferkit.progress import Progress
from ferkit.search.approximate import (
    ApproximateIndex,
    IndexPlan,
    crc32_of,
    faiss,
    lists_path,
    nothing_printed,
    write_faiss,
)
from ferkit.search.index import FlatIndex, Rows
from ferkit.staging import JOURNAL, StagedOutput, require_own

KINDS = ("auto", "flat", "hnsw", "ivf", "ivfpq", "disk")

_FLAT_ROWS = 50_000
_FEWEST = {"hnsw": 1_000, "ivf": 1_000, "ivfpq": 10_000, "disk": 10_000}
_LINKS = 32
_SAMPLE_A_CELL, _SAMPLE = 40, 65_536
_QUERIES, _TIMED, _SECONDS, _K = 200, 25, 10.0, 10
_SEARCHES = {
    "hnsw": ((2,), (16, 32, 64, 128, 256, 512, 1024)),
    "ivf": ((2,), (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)),
    "ivfpq": ((10, 50), (1, 2, 4, 8, 16, 32, 64, 128, 256)),
    "disk": ((10, 50), (1, 2, 4, 8, 16, 32, 64, 128, 256)),
}
"""For each kind the depths and the efforts that are tried, cheapest first."""
_BLOCK = 16_384
_OWN = re.compile(rf"(trained|\d+)\.index|{re.escape(JOURNAL)}")


@dataclass(frozen=True)
class Measured:
    """What held-out queries found."""

    recall: float  # share of the true 10 nearest that came back
    milliseconds: float  # median time of one query
    flat_milliseconds: float  # the same of an exact search


def choose_plan(
    rows: int, dim: int, kind: str, memory: int, recall: float, *, stored: int | None = None
) -> tuple[IndexPlan | None, str]:
    """Choose an index from what there is and what is wanted.

    Args:
        rows: vectors of the set.
        dim: their length.
        kind: one of `KINDS`.
        memory: bytes that the index may take.
        recall: share of the true 10 nearest that should come back, in (0, 1].
        stored: bytes of the vectors; None where they are float32.

    Returns:
        The plan, None for exact search, and the choice explained in a sentence.

    Raises:
        InputError: an argument is out of range, or the kind does not fit the rows or the memory.
    """
    if kind not in KINDS:
        raise InputError(f"--kind must be one of {', '.join(KINDS)}, not {kind!r}")
    if not 0 < recall <= 1:
        raise InputError(f"--recall must be a share above 0 and at most 1, not {recall:g}")
    if kind == "flat" or (kind == "auto" and rows < _FLAT_ROWS):
        return None, f"flat: {rows:,} vectors are compared one by one, without an index"
    if kind == "auto":
        kind = next((kind for kind in ("ivf", "ivfpq") if size_of(kind, rows, dim) <= memory), "disk")
    size = size_of(kind, rows, dim)
    if rows < _FEWEST[kind]:
        raise InputError(
            f"{kind} needs {_FEWEST[kind]:,} vectors or more, and the set holds {rows:,}; take --kind flat"
        )
    if size > memory:
        raise InputError(
            f"{kind} takes {_gigabytes(size)} for {rows:,} vectors of {dim}, more than --memory {_gigabytes(memory)}; "
            "allow more, or take --kind ivfpq, disk or flat"
        )
    cells, codes = _cells(rows), _code_bytes(dim)
    factories = {"hnsw": f"HNSW{_LINKS},SQ8", "ivf": f"IVF{cells},SQ8", "ivfpq": f"IVF{cells},PQ{2 * codes:g}x4fs"}
    factories["disk"] = f"IVF{cells}_HNSW{_LINKS},PQ{_disk_codes(dim)}np"
    how = {
        "hnsw": f"a graph of {_LINKS} links a vector over codes of {dim} bytes",
        "ivf": f"codes of {dim} bytes in {cells:,} cells",
        "ivfpq": f"codes of {codes:g} bytes in {cells:,} cells",
        "disk": f"codes of {_disk_codes(dim)} bytes in {cells:,} cells on the disk",
    }
    why = (
        f"{kind}: {how[kind]} take {_gigabytes(size)} beside the {_gigabytes(stored or rows * dim * 4)} of vectors, on"
        " which the candidates are compared exactly"
    )
    return IndexPlan(kind, factories[kind]), why


def size_of(kind: str, rows: int, dim: int) -> int:
    """Return about how many bytes of memory an index takes."""
    if kind == "hnsw":
        return rows * (dim + _LINKS * 9)
    if kind == "disk":
        return _cells(rows) * (dim * 4 + _LINKS * 8)
    return int(rows * ((dim if kind == "ivf" else _code_bytes(dim)) + 8) + _cells(rows) * dim * 4)


def staged_index(embeddings: EmbeddingSet, plan: IndexPlan, memory: int, path: Path) -> StagedOutput:
    """The index of a set on its way to ``path``, for `build_index`; whoever enters it builds alone."""
    job = {"set": embeddings.digest, "factory": plan.factory, "memory": memory, "ferkit": __version__}
    return StagedOutput(path, job, partial(require_own, lambda name: bool(_OWN.fullmatch(name))), files=True)


def build_index(
    embeddings: EmbeddingSet,
    plan: IndexPlan,
    recall: float,
    memory: int,
    progress: Progress,
    output: StagedOutput,
    seed: int = 0,
) -> tuple[ApproximateIndex, Measured]:
    """Train an index on a sample, add all vectors, and find the least effort that reaches a recall.

    Args:
        embeddings: the set; its vectors are read block by block.
        plan: as `choose_plan` made it.
        recall: to be reached on one half of the held-out queries; the other half measures it.
        memory: bytes that the sample, or codes on their way to the disk, may take a quarter of.
        progress: told of every block.
        output: entered, of `staged_index`; an index on the disk is built part by part in its folder, and a build that
            was killed goes on with those parts that are there.
        seed: of the sample and the queries.

    Raises:
        OutputError: the lists cannot be written.
    """
    vectors, random = embeddings.vectors, np.random.default_rng(seed)
    library = faiss()
    built = library.index_factory(embeddings.encoder.dim, plan.factory, library.METRIC_INNER_PRODUCT)
    most = max(10_000, memory // 4 // (4 * embeddings.encoder.dim))
    order = random.permutation(len(vectors))
    sample = np.sort(order[: min(most, max(_SAMPLE, _SAMPLE_A_CELL * _cells(len(vectors))))])
    lists = lists_path(output.target) if plan.kind == "disk" else None
    if lists is not None:
        built = _built_on_disk(built, vectors, sample, memory // 4, output, lists, progress)
    else:
        _train(built, vectors, sample, progress)
        _add(built, vectors, range(len(vectors)), progress)
    progress.start("measuring", None)
    queries = order[-min(_QUERIES, len(vectors)) :]
    return _tuned(ApproximateIndex(vectors, built, plan, lists), queries, recall)


def _require_space(folder: Path, size: int) -> None:
    """Refuse to begin where a file that FAISS maps would fill the disk: that ends the process."""
    where, there = folder.absolute().parent, sum(part.stat().st_size for part in folder.glob("*.index"))
    if (free := shutil.disk_usage(where).free) + there < size:
        raise OutputError(f"building in {where} takes {_gigabytes(size)} of disk, and {_gigabytes(free)} are free")


def _train(built: Any, vectors: Rows, sample: NDArray[np.int64], progress: Progress) -> None:  # noqa: ANN401 (of FAISS)
    progress.start("training", None)
    built.train(np.ascontiguousarray(vectors[sample]))
    progress.start("adding", len(vectors), unit="vectors")


def _add(built: Any, vectors: Rows, rows: range, progress: Progress) -> None:  # noqa: ANN401 (an index of FAISS)
    for start in range(rows.start, rows.stop, _BLOCK):
        block = np.ascontiguousarray(vectors[start : min(start + _BLOCK, rows.stop)], np.float32)
        built.add_with_ids(block, np.arange(start, start + len(block))) if rows.start else built.add(block)
        progress.advance(len(block))


def _built_on_disk(
    built: Any,  # noqa: ANN401 (an index of FAISS)
    vectors: Rows,
    sample: NDArray[np.int64],
    memory: int,
    output: StagedOutput,
    lists: Path,
    progress: Progress,
) -> Any:  # noqa: ANN401
    """Fill the inverted lists part by part, each within some memory, and merge these cell by cell into one file."""
    from faiss.contrib.ondisk import merge_ondisk

    step, folder = max(_BLOCK, memory // (built.code_size + 8)), output.folder
    trained, *parts = [folder / "trained.index", *(folder / f"{start}.index" for start in range(0, len(vectors), step))]
    _require_space(folder, 2 * len(vectors) * (built.code_size + 8))
    there: set[str] = set()

    def is_there(entry: dict[str, Any]) -> bool:
        file = folder / entry["file"]
        if not (file.is_file() and crc32_of(file) == entry["crc32"]):
            return False
        there.add(file.name)
        return True

    def keep(file: Path) -> None:
        write_faiss(built, file)
        output.add({"file": file.name, "crc32": crc32_of(file)})

    with output_errors(output.target):
        if not output.resume(is_there) or trained.name not in there:
            output.begin()
            there.clear()
            _train(built, vectors, sample, progress)
            keep(trained)
        else:
            built = faiss().read_index(str(trained))
            progress.say(f"going on after {len(there) - 1} of {len(parts)} parts")
            progress.start("adding", len(vectors), min((len(there) - 1) * step, len(vectors)), unit="vectors")
        for number, file in enumerate(parts):
            if file.name not in there:
                _add(built, vectors, range(number * step, min((number + 1) * step, len(vectors))), progress)
                keep(file)
                built.reset()
        progress.start("merging", None)
        with nothing_printed():
            merge_ondisk(built, [str(file) for file in parts], str(lists))
    return built


def _tuned(index: ApproximateIndex, queries: NDArray[np.int64], wanted: float) -> tuple[ApproximateIndex, Measured]:
    tune, test = queries[::2], queries[1::2]
    least = _kth_scores(index.flat, tune)
    tried = []
    for depth, effort in product(*_SEARCHES[index.plan.kind]):
        index.plan = replace(index.plan, depth=depth, effort=effort)
        tried.append((_recall(index, tune, least), index.plan))
        if tried[-1][0] >= wanted:
            break
    index.plan = max(tried, key=lambda each: each[0])[1]
    recall = _recall(index, test, _kth_scores(index.flat, test))
    index.plan = replace(index.plan, recall=recall)
    asked = index.flat.vectors[test]
    return index, Measured(recall, _milliseconds(index, asked), _milliseconds(index.flat, asked))


def _kth_scores(flat: FlatIndex, rows: NDArray[np.int64]) -> Rows:
    """Return (Q,) the cosine of the 10th nearest other vector of each row."""
    return flat.query(flat.vectors[rows], _K + 1)[0][:, -1]


def _recall(index: ApproximateIndex, rows: NDArray[np.int64], least: Rows) -> float:
    """Share of the true nearest that come back; of vectors of equal cosine any one is right, the row itself is none."""
    scores, ids = index.query(index.flat.vectors[rows], _K + 1)
    right = (scores >= least[:, None] - 1e-6) & (ids != rows[:, None])
    return float(np.minimum(right.sum(axis=1), _K).mean() / _K)


def _milliseconds(index: ApproximateIndex | FlatIndex, queries: Rows) -> float:
    times: list[float] = []
    for row in range(min(_TIMED, len(queries))):
        if sum(times) > _SECONDS:
            break
        began = time.perf_counter()
        index.query(queries[row : row + 1], _K)
        times.append(time.perf_counter() - began)
    return float(np.median(times)) * 1e3


def _cells(rows: int) -> int:
    """A power of two near twice the root of the rows, of which each gets enough of them."""
    most = max(1, rows // _SAMPLE_A_CELL)
    return int(2 ** int(np.log2(max(1, min(most, 2 * np.sqrt(rows))))))


def _code_bytes(dim: int) -> float:
    """Bytes of a code: half a byte for about four dimensions, in equal parts."""
    return next(parts for parts in range(max(1, dim // 4), 0, -1) if dim % parts == 0) / 2


def _disk_codes(dim: int) -> int:
    """Bytes of a code on the disk: one for about eight dimensions, in equal parts."""
    return next(parts for parts in range(max(1, dim // 8), 0, -1) if dim % parts == 0)


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:.2g} GB" if size >= 1e8 else f"{size / 1e6:.3g} MB"
