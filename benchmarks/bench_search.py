"""Search: ferkit beside bare FAISS and USearch on the same vectors, in one run.

    python benchmarks/bench_search.py [--rows 100000] [--dim 512] [--rounds 30] [--index]   prints tables
    pytest benchmarks/bench_search.py --benchmark-only

The vectors lie between near neighbours of 5,000 drawn ones in 24 dimensions, with a tenth of noise in all: about as
alike as faces are. Queries are other such vectors. All ways are asked the same query in turn, round by round, and
medians are told; on a machine that is busy otherwise, the ratios say more than the times.

- *Flat*: exact search of the memory map, alone and with a tenth and a thousandth of the rows allowed.
- *Index* (``--index``): what ``ferkit index --kind auto`` makes, beside the same FAISS index asked without ferkit, and
  USearch's graph; recall@10 of each.
- *Opening*: seconds, and memory beyond the map, until a set answers its first query.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import faiss
import numpy as np
import pyarrow as pa
import pytest

import ferkit
from ferkit.data.embedding_set import EmbeddingSet, EncoderStamp
from ferkit.data.faces import FACE_SCHEMA
from ferkit.search.approximate import read_index

K = 10
BLOCK = 20_000


def make_vectors(rows: int, dim: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    base = np.random.default_rng(0)
    seeds = base.standard_normal((5000, 24), np.float32) @ base.standard_normal((24, dim), np.float32)
    seeds /= np.linalg.norm(seeds, axis=1, keepdims=True)
    near = np.argpartition(-(seeds @ seeds.T), 20, axis=1)[:, :20]
    vectors = np.empty((rows, dim), np.float32)
    for start in range(0, rows, BLOCK):
        count = min(BLOCK, rows - start)
        one = random.integers(len(seeds), size=count)
        other, share = near[one, random.integers(20, size=count)], random.random((count, 1), np.float32)
        drawn = seeds[one] * share + seeds[other] * (1 - share)
        drawn += random.standard_normal(drawn.shape, np.float32) * np.float32(0.1 / np.sqrt(dim))
        vectors[start : start + count] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return vectors


def write_set(path: Path, vectors: np.ndarray) -> None:
    rows = len(vectors)
    known = {
        "source": pa.array([f"/photos/{row:07d}.jpg" for row in range(rows)]),
        "face": pa.array(np.ones(rows, np.int32)),
        "sha256": pa.array([f"{row:064x}" for row in range(rows)]),
    }
    table = pa.table([known.get(f.name, pa.nulls(rows, f.type)) for f in FACE_SCHEMA], schema=FACE_SCHEMA)
    EmbeddingSet(vectors, table, EncoderStamp("made up", "0" * 64, vectors.shape[1], "ferkit-128", 112)).save(path)


def in_turn(ways: dict[str, Callable[[np.ndarray], np.ndarray]], queries: np.ndarray) -> dict[str, tuple[float, list]]:
    """Median milliseconds of each way, and the ids that it found."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    ids: dict[str, list] = {name: [] for name in ways}
    for way in ways.values():
        way(queries[:1])
    for query in queries:
        for name, way in ways.items():
            began = time.perf_counter()
            found = way(query[None])
            times[name].append(time.perf_counter() - began)
            ids[name].append(np.ravel(found)[:K].tolist())
    return {name: (statistics.median(times[name]) * 1e3, ids[name]) for name in ways}


def show(title: str, results: dict[str, tuple[float, list]], truth: list | None = None) -> None:
    print(f"\n{title}")
    first = next(iter(results.values()))[0]
    for name, (milliseconds, ids) in results.items():
        recall = "" if truth is None else f"  recall@10 {recall_of(ids, truth):.3f}"
        print(f"  {name:<28} {milliseconds:9.2f} ms   {milliseconds / first:6.2f} x{recall}")


def recall_of(ids: list, truth: list) -> float:
    return float(np.mean([len(set(a) & set(b)) / K for a, b in zip(ids, truth, strict=True)]))


def flat(path: Path, queries: np.ndarray) -> list:
    searcher = ferkit.Searcher(path)
    vectors = np.array(searcher.set.vectors)
    bare = faiss.IndexFlatIP(vectors.shape[1])
    bare.add(vectors)
    del vectors
    for share in (1.0, 0.1, 0.001):
        allowed = None if share == 1 else np.random.default_rng(1).random(len(searcher)) < share
        selector = None if allowed is None else faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        only = None if selector is None else faiss.SearchParameters(sel=selector)
        results = in_turn(
            {
                "FAISS IndexFlatIP, in memory": lambda query, only=only: bare.search(query, K, params=only)[1],
                "ferkit, memory map": lambda query, allowed=allowed: searcher.query(query, K, allowed)[1],
            },
            queries,
        )
        show(f"exact, {share:g} of {len(searcher):,} rows allowed", results)
        if share == 1:
            truth = results["ferkit, memory map"][1]
    return truth


def indexed(path: Path, queries: np.ndarray, truth: list) -> None:
    began = time.perf_counter()
    made = ferkit.index(path)
    print(f"\nferkit index: {time.perf_counter() - began:.0f} s: {made.why}; recall@10 {made.recall:.3f}")
    searcher = ferkit.Searcher(path)
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    if made.path is not None:
        index = read_index(searcher.set, made.path)
        bare = faiss.read_index(str(made.path))
        how = faiss.SearchParametersIVF(nprobe=index.plan.effort)
        refined = faiss.IndexRefineFlat(bare, faiss.swig_ptr(np.array(searcher.set.vectors)))
        both = faiss.IndexRefineSearchParameters(k_factor=float(index.plan.depth), base_index_params=how)
        ways["FAISS, the same, refined"] = lambda query: refined.search(query, K, params=both)[1]
    ways["ferkit"] = lambda query: searcher.query(query, K)[1]
    try:
        from usearch.index import Index
    except ImportError:
        print("USearch is not installed: pip install usearch")
    else:
        graph = Index(ndim=searcher.set.vectors.shape[1], metric="ip", dtype="f32")
        graph.add(np.arange(len(searcher)), np.array(searcher.set.vectors), threads=2)
        ways["USearch, default graph"] = lambda query: graph.search(query[0], K).keys.astype(np.int64)
    show(f"index of {len(searcher):,}", in_turn(ways, queries), truth)


def opening(path: Path) -> None:
    code = f"""
import time, sys
import numpy as np, pyarrow, pyarrow.parquet, ferkit.search.searcher
def anonymous():
    return int(open("/proc/self/status").read().split("RssAnon:")[1].split()[0]) / 1024
before, began = anonymous(), time.perf_counter()
searcher = ferkit.Searcher({str(path)!r})
opened = time.perf_counter() - began
searcher.query(np.ones(searcher.set.vectors.shape[1]), {K})
answered = time.perf_counter() - began
print(f"opened in {{opened:.3f}} s, first answer after {{answered:.3f}} s,", end=" ")
print(f"{{anonymous() - before:.0f}} MB beyond the map")
"""
    print("\nopening", flush=True)
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture(scope="module")
def searcher(tmp_path_factory) -> ferkit.Searcher:
    path = tmp_path_factory.mktemp("set") / "emb.npy"
    write_set(path, make_vectors(20_000, 128))
    return ferkit.Searcher(path)


def test_query(benchmark, searcher):
    query = searcher.set.vectors[7]
    _, rows = benchmark(searcher.query, query, K)
    assert rows[0] == 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--index", action="store_true")
    given = parser.parse_args()
    queries = make_vectors(given.rounds, given.dim, seed=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "emb.npy"
        write_set(path, make_vectors(given.rows, given.dim))
        print(
            f"{given.rows:,} vectors of {given.dim}, {faiss.omp_get_max_threads()} threads, FAISS {faiss.__version__}"
        )
        opening(path)
        truth = flat(path, queries)
        if given.index:
            indexed(path, queries, truth)
            opening(path)
    print(f"\npeak memory of this process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


if __name__ == "__main__":
    main()
