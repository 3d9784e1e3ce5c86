"""Cross-identity triplets: is another person with the same expression nearer than the same person with another one?

    python benchmarks/triplets.py contrawarping-r18 runs/byol-r18 --json benchmarks/results/triplets.json

Measures the given encoders, the first one's network at random init, and gray pixels, all with the cosine and on the
same faces: the test quarter (`--split dev`: the training people, for choosing settings) of studio-smiles and
lfw-expressions, detected and aligned by ferkit. The 95 % interval is a bootstrap over people.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from development_data import identity_of, photos
from numpy.typing import NDArray

import ferkit
from ferkit.data.face_set import FaceSet
from ferkit.encoders.encoder import load_encoder, random_encoder
from ferkit.evaluation.triplets import TripletScore, cross_identity_triplets

COLLECTIONS = {"studio-smiles": ("smiling", "neutral"), "lfw-expressions": ("happiness", "neutral")}
Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoders", nargs="+", help="names, run folders or .safetensors files")
    parser.add_argument("--split", choices=["test", "dev"], default="test")
    parser.add_argument("--cache", type=Path, default=Path("carry"), help="folder for the aligned faces")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    given = parser.parse_args()
    scores = {
        collection: measure(contenders(given.encoders), aligned(collection, given.split, given.cache), pair)
        for collection, pair in COLLECTIONS.items()
    }
    print(as_markdown(scores))
    if given.json:
        given.json.write_text(json.dumps({"split": given.split, "scores": as_plain(scores)}, indent=1) + "\n")


def contenders(names: list[str]) -> dict[str, Embed]:
    """Everything that turns crops into vectors, by name."""
    encoders = [load_encoder(name, device="cpu") for name in names]
    first = encoders[0].entry
    untrained = random_encoder(first.arch, input_size=first.input_size)
    return {**{e.name: e.embed for e in encoders}, untrained.name: untrained.embed, "gray pixels": gray_pixels}


def gray_pixels(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The central 112 px in gray, at 28 px: (N, 784), less each image's mean."""
    gray = torch.from_numpy(crops[:, 8:120, 8:120].astype(np.float32)).mean(3)
    small = torch.nn.functional.avg_pool2d(gray[:, None], 4).flatten(1)
    return (small - small.mean(1, keepdim=True)).numpy()


def aligned(collection: str, split: str, cache: Path) -> FaceSet:
    """The largest face of each photo, as a face set."""
    folder = cache / f"{collection}-{split}"
    if not folder.exists():
        ferkit.align(photos(collection, test=split == "test"), folder, aligned=False, min_face=40)
    return FaceSet.open(folder)


def measure(embedders: Mapping[str, Embed], faces: FaceSet, pair: tuple[str, str]) -> dict[str, TripletScore]:
    """Score every embedder on one collection."""
    rows = largest(faces)
    sources = [Path(faces.face(row).source) for row in rows]
    labels, people = [s.parent.name for s in sources], [identity_of(s) for s in sources]
    crops = faces.crops(rows)
    return {name: cross_identity_triplets(embed(crops), labels, people, pair=pair) for name, embed in embedders.items()}


def largest(faces: FaceSet) -> list[int]:
    """The row of the largest box of every photo."""
    best: dict[str, tuple[float, int]] = {}
    for row in range(len(faces)):
        face = faces.face(row)
        x0, y0, x1, y1 = face.box
        best[face.source] = max(best.get(face.source, (0.0, row)), ((x1 - x0) * (y1 - y0), row))
    return sorted(row for _, row in best.values())


def as_plain(scores: Mapping[str, Mapping[str, TripletScore]]) -> dict[str, dict[str, object]]:
    return {name: {who: asdict(score) for who, score in column.items()} for name, column in scores.items()}


def as_markdown(scores: Mapping[str, Mapping[str, TripletScore]]) -> str:
    names = list(scores)
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for who in scores[names[0]]:
        cells = (f"{s.accuracy:.3f} ({s.interval[0]:.3f}–{s.interval[1]:.3f})" for s in (scores[n][who] for n in names))
        lines.append(f"| {who} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
