"""The page of ``ferkit serve``: its first view, questions, and whether its memory stays flat, on a set of made vectors.

    OMP_NUM_THREADS=2 python benchmarks/bench_page.py [--rows 100000] [--queries 1000] [--keep FOLDER]

Vectors as of ``bench_search``, for the default encoder, so that its expression head reads them; people, labels, folders
and dates as a large collection has them, pictures of noise. A server is started as a user would; it is asked from this
process. Told by the clock, and by the CPU time of the server, which a machine that is busy otherwise lengthens less.

- *first view*: what the page loads at once (itself, the set, the first faces), from the moment the server listens,
  while the encoder is still being loaded.
- *photo*: faces of a photo of 640 px found and encoded, which no question on the set can be quicker than.
- *question*: the nearest to a face, with folding, people, probabilities and filters counted; the median, and the 90 %.
- *memory*: resident, after a tenth of the queries, all different, and after all of them.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from bench_search import make_vectors
from PIL import Image

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.faces import FACE_SCHEMA, crop_sha256
from ferkit.encoders import DEFAULT_ENCODER
from ferkit.encoders.encoder import load_encoder
from ferkit.search.set_encoder import encoder_stamp

PICTURES, FOLDERS, PEOPLE, LABELS = 500, 20, 3000, ("happiness", "neutral", "sadness", None)
PORTRAIT = Path(__file__).parents[1] / "src" / "ferkit" / "portraits" / "joe-biden.png"


def write_set(folder: Path, rows: int) -> Path:
    """Write a set of ``rows`` faces that show ``PICTURES`` crops of noise in turn."""
    random, stamp = np.random.default_rng(0), encoder_stamp(load_encoder(DEFAULT_ENCODER, "cpu"), DEFAULT_ENCODER)
    sources, digests = [], []
    for number in range(PICTURES):
        crop = np.repeat(np.repeat(random.integers(0, 256, (8, 8, 3), np.uint8), 16, 0), 16, 1)
        path = folder / f"event-{number % FOLDERS:02d}" / f"{number:03d}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(crop).save(path)
        sources.append(str(path))
        digests.append(crop_sha256(crop))
    places = np.arange(rows) % PICTURES
    known = {
        "source": pa.array(sources).take(pa.array(places)),
        "sha256": pa.array(digests).take(pa.array(places)),
        "face": pa.array(np.arange(rows) // PICTURES + 1, pa.int32()),
        "identity": pa.array([f"person {who}" for who in random.integers(PEOPLE, size=rows)]),
        "label": pa.array([LABELS[place] for place in random.integers(len(LABELS), size=rows)], pa.string()),
        "size": pa.array(random.uniform(40, 300, rows), pa.float32()),
    }
    columns = [known[f.name].cast(f.type) if f.name in known else pa.nulls(rows, f.type) for f in FACE_SCHEMA]
    EmbeddingSet(make_vectors(rows, stamp.dim), pa.table(columns, schema=FACE_SCHEMA), stamp).save(folder / "emb.npy")
    return folder / "emb.npy"


class Page:
    """A server of its own process, and what it used."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-m", "ferkit", "serve", str(path), "--port", "0"]
        self._server = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._server.stderr is not None
        for line in self._server.stderr:
            if found := re.search(r"http://\S+?:\d+", line):
                self.address = found[0]
                return
        raise SystemExit("the server said no address")

    def ask(self, path: str, body: bytes | None = None) -> bytes:
        """Return what the server answers; a body is posted."""
        headers = {"origin": self.address, "content-type": "application/octet-stream"}
        with urllib.request.urlopen(urllib.request.Request(self.address + path, body, headers), timeout=600) as answer:
            return bytes(answer.read())

    def timed(self, work: Callable[[], object]) -> tuple[float, float]:
        """Milliseconds that it took, by the clock and of the server's CPU."""
        cpu, began = self._cpu(), time.perf_counter()
        work()
        return 1e3 * (time.perf_counter() - began), 1e3 * (self._cpu() - cpu)

    def _cpu(self) -> float:
        fields = Path(f"/proc/{self._server.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def megabytes(self) -> float:
        """What is resident of its own memory; the map of the vectors is the system's to drop."""
        status = Path(f"/proc/{self._server.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]

    def close(self) -> None:
        """Stop the server."""
        self._server.terminate()
        self._server.wait(30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--keep", type=Path, help="keep the set in this folder, or take it from there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = options.keep or Path(folder)
        home.mkdir(exist_ok=True)
        path = home / "emb.npy"
        page = Page(path if path.exists() else write_set(home, options.rows))
        try:
            measure(page, options.queries)
        finally:
            page.close()


def measure(page: Page, queries: int) -> None:
    def show(name: str, times: list[tuple[float, float]]) -> None:
        clock, cpu = (sorted(part) for part in zip(*times, strict=True))
        ninth = int(0.9 * (len(clock) - 1))
        middle = statistics.median(clock), statistics.median(cpu)
        print(f"{name:<12} {middle[0]:8.0f} ms ({clock[ninth]:.0f})   CPU {middle[1]:8.0f} ms ({cpu[ninth]:.0f})")

    def first() -> None:
        for part in ("/", "/static/style.css", "/static/page.js", "/api/set", "/api/hits?start=0"):
            page.ask(part)

    show("first view", [page.timed(first)])
    while not json.loads(page.ask("/api/set"))["ready"]:
        time.sleep(0.2)
    picture = io.BytesIO()
    Image.open(PORTRAIT).convert("RGB").resize((640, 640)).save(picture, "JPEG")
    photos = [page.timed(lambda: page.ask("/api/faces", picture.getvalue())) for _ in range(6)][1:]
    show("photo", photos)
    vector = json.loads(page.ask("/api/faces", picture.getvalue()))["faces"][0]["like"]
    show("question", [page.timed(lambda: page.ask(f"/api/hits?like={vector}")) for _ in range(20)])
    rows = np.random.default_rng(1).integers(json.loads(page.ask("/api/set"))["faces"], size=queries)
    times, early = [], 0.0
    for number, row in enumerate(rows):
        times.append(page.timed(lambda row=row: page.ask(f"/api/hits?like={row}")))
        if number == queries // 10:
            early = page.megabytes
    show("of the set", times)
    print(f"memory       {early:.0f} MB after {queries // 10:,} queries, {page.megabytes:.0f} MB after {queries:,}")


if __name__ == "__main__":
    main()
