"""Linear and kNN accuracy on FER+: frozen features, fitted on train rows, measured on the valid rows.

    python benchmarks/ferplus.py contrawarping-r18 runs/byol-r18 --json benchmarks/results/ferplus.json

The eight majority labels of FER+; rows without one are left out. kNN: k = 20, cosine. Linear: logistic regression on
standardised features, its strength chosen on a held-out part of the train rows. The 95 % interval is Wilson's. The data
set states no identities, so people may stand on both sides.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
from development_data import DATA
from numpy.typing import NDArray
from triplets import Embed, contenders

import ferkit
from ferkit.data.face_set import FaceSet
from ferkit.evaluation.knn import knn_accuracy
from ferkit.evaluation.linear import linear_accuracy
from ferkit.evaluation.score import Score

Labelled = tuple[NDArray[np.uint8], list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoders", nargs="+", help="names, run folders or .safetensors files")
    parser.add_argument("--train", type=int, default=8000, help="train rows to fit on, drawn at random")
    parser.add_argument("--cache", type=Path, default=Path("carry"), help="folder for the face sets")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    given = parser.parse_args()
    train, valid = (labelled(part, given.cache) for part in ("train", "valid"))
    rows = np.sort(np.random.default_rng(0).permutation(len(train[1]))[: given.train])
    train = train[0][rows], [train[1][row] for row in rows]
    scores = {name: measure(embed, train, valid) for name, embed in contenders(given.encoders).items()}
    print("| | linear | kNN-20 |\n|---|---|---|")
    for name, (linear, knn) in scores.items():
        print(f"| {name} | {as_text(linear)} | {as_text(knn)} |")
    if given.json:
        plain = {name: {"linear": asdict(linear), "knn": asdict(knn)} for name, (linear, knn) in scores.items()}
        given.json.write_text(json.dumps({"train_rows": len(rows), "scores": plain}, indent=1) + "\n")


def labelled(part: str, cache: Path) -> Labelled:
    """The labelled crops of one part of FER+."""
    folder = cache / f"ferplus-{part}"
    if not folder.exists():
        ferkit.align([DATA / "ferplus" / f"{part}.parquet"], folder, aligned=True)
    faces = FaceSet.open(folder)
    labels = faces.table.column("label").to_pylist()
    rows = [row for row, label in enumerate(labels) if label is not None]
    return faces.crops(rows), [labels[row] for row in rows]


def measure(embed: Embed, train: Labelled, valid: Labelled) -> tuple[Score, Score]:
    """Linear and kNN accuracy of one encoder."""
    known, asked = embed(train[0]), embed(valid[0])
    return linear_accuracy(known, train[1], asked, valid[1]), knn_accuracy(known, train[1], asked, valid[1])


def as_text(score: Score) -> str:
    return f"{score.accuracy:.3f} ({score.interval[0]:.3f}–{score.interval[1]:.3f})"


if __name__ == "__main__":
    main()
