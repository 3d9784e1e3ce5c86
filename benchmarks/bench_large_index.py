"""An index over a set in parts that is larger than memory: made, and asked, within a budget.

    python benchmarks/bench_large_index.py FOLDER [--rows 10000000] [--dim 512] [--parts 20] [--memory 4GB]

Made vectors of 16 bits are written to FOLDER (10 GB for 10 million of 512) and removed at the end. They lie between
near neighbours among 20,000 drawn directions in 48 dimensions, few of which are common and most rare (shares fall as
1/rank^.7), with noise in all dimensions whose amount varies from vector to vector: clusters of all sizes, near and far
neighbours, no two vectors alike. Queries are drawn anew in the same way. Prints the time to build, the median and 95th
percentile of one query at a time, recall@10 against exact search, and memory: its own (RssAnon), and all, which counts
pages of the files that the system would take back (VmRSS); the largest of both, looked at every .2 s.
"""

import argparse
import json
import shutil
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

import ferkit
import ferkit.progress
from ferkit.data.embedding_parts import complete_parts, part_path
from ferkit.data.embedding_set import EmbeddingSet, EncoderStamp
from ferkit.data.faces import FACE_SCHEMA
from ferkit.search.index import FlatIndex

BLOCK, DIRECTIONS, INNER, QUERIES, K = 20_000, 20_000, 48, 200, 10


class Drawn:
    """Draws vectors as the module says."""

    def __init__(self, dim: int) -> None:
        base = np.random.default_rng(0)
        points = base.standard_normal((DIRECTIONS, INNER), np.float32) * np.geomspace(1, 0.2, INNER, dtype=np.float32)
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        self.near = np.concatenate(
            [np.argpartition(-(block @ points.T), 20, axis=1)[:, :20].copy() for block in np.array_split(points, 20)]
        )
        self.points = points @ np.linalg.qr(base.standard_normal((dim, INNER)))[0].T.astype(np.float32)
        shares = np.arange(1, DIRECTIONS + 1) ** -0.7
        self.shares, self.dim = shares / shares.sum(), dim

    def vectors(self, count: int, random: np.random.Generator) -> np.ndarray:
        """Return (count, dim) float32 of length 1."""
        one = random.choice(DIRECTIONS, count, p=self.shares)
        other, share = self.near[one, random.integers(20, size=count)], random.random((count, 1), np.float32)
        drawn = self.points[one] * share + self.points[other] * (1 - share)
        noise = random.uniform(0.1, 0.5, (count, 1)).astype(np.float32) / np.float32(np.sqrt(self.dim))
        drawn += random.standard_normal(drawn.shape, np.float32) * noise
        return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def write_parts(folder: Path, rows: int, dim: int, parts: int) -> None:
    drawn, stamp = Drawn(dim), EncoderStamp("made up", "0" * 64, dim, "ferkit-128", 112)
    ends = np.linspace(0, rows, parts + 1).astype(int)
    for number in range(parts):
        count, random = int(ends[number + 1] - ends[number]), np.random.default_rng(number + 1)
        vectors = np.empty((count, dim), np.float16)
        for start in range(0, count, BLOCK):
            vectors[start : start + BLOCK] = drawn.vectors(min(BLOCK, count - start), random)
        known = {
            "source": pa.array([f"/photos/{row:09d}.jpg" for row in range(ends[number], ends[number + 1])]),
            "face": pa.array(np.ones(count, np.int32)),
            "sha256": pa.array([f"{row:064x}" for row in range(ends[number], ends[number + 1])]),
        }
        table = pa.table([known.get(f.name, pa.nulls(count, f.type)) for f in FACE_SCHEMA], schema=FACE_SCHEMA)
        replace(EmbeddingSet(vectors, table, stamp), listing="made up").save(part_path(folder, number + 1, parts))
        print(f"part {number + 1} of {parts} is written", flush=True)
    complete_parts(folder, parts)


class Memory(threading.Thread):
    """Looks at this process's memory until it is told to stop."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most = {"RssAnon": 0, "VmRSS": 0}
        self.ended = threading.Event()
        self.start()

    def run(self) -> None:
        """Keep the largest sizes."""
        while not self.ended.wait(0.2):
            lines = Path("/proc/self/status").read_text().splitlines()
            now = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.endswith("kB")}
            self.most = {name: max(most, now[name]) for name, most in self.most.items()}

    def stop(self) -> dict[str, float]:
        """Return the largest sizes."""
        self.ended.set()
        self.join()
        return {f"{name}_gb": round(size / 1e9, 2) for name, size in self.most.items()}


class Told(ferkit.progress.Silent):
    """Prints what is begun, and when."""

    def start(self, task: str, total: float | None, done: float = 0, unit: str = "") -> None:
        """As `Progress.start`."""
        print(f"{time.strftime('%H:%M:%S')} {task}", flush=True)


def ask(folder: Path, dim: int) -> dict[str, float]:
    random, began = np.random.default_rng(12345), time.perf_counter()
    searcher = ferkit.Searcher(folder)
    queries = Drawn(dim).vectors(QUERIES, random)
    opening = time.perf_counter()
    searcher.query(queries[:1], K)
    opening, times, found = time.perf_counter() - opening, [], []
    for query in queries:
        began = time.perf_counter()
        found.append(searcher.query(query[None], K)[1][0])
        times.append(time.perf_counter() - began)
    exact = FlatIndex(searcher.set.vectors, unit=True).query(queries, K)[1]
    recall = np.mean([len(set(mine) & set(true)) / K for mine, true in zip(found, exact.tolist(), strict=True)])
    p50, p95 = np.quantile(times, [0.5, 0.95]) * 1e3
    return {"recall_at_10": round(float(recall), 4), "p50_ms": p50, "p95_ms": p95, "first_answer_s": opening}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for name, default in (("rows", 10_000_000), ("dim", 512), ("parts", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--memory", default="4GB")
    parser.add_argument("--kind", default="disk")
    parser.add_argument("--recall", type=float, default=0.95)
    given = parser.parse_args()
    needs, free = given.rows * (given.dim * 2 + given.dim // 2 + 150), shutil.disk_usage(given.folder.parent).free
    if free < needs:
        parser.error(f"{given.rows:,} vectors take {needs / 1e9:.0f} GB, and {free / 1e9:.0f} GB are free")
    folder = given.folder / "emb"
    folder.mkdir(parents=True)
    try:
        write_parts(folder, given.rows, given.dim, given.parts)
        memory, began, cpu = Memory(), time.perf_counter(), time.process_time()
        made = ferkit.index(folder, kind=given.kind, memory=given.memory, recall=given.recall, progress=Told())
        built = {"build_s": time.perf_counter() - began, "build_cpu_s": time.process_time() - cpu, **memory.stop()}
        print(json.dumps(built | {"why": made.why, "bytes": made.bytes, "flat_ms": made.flat_milliseconds}))
        memory = Memory()
        print(json.dumps({**ask(folder, given.dim), **memory.stop()}))
    finally:
        shutil.rmtree(given.folder)


if __name__ == "__main__":
    main()
