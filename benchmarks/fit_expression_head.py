r"""Fit the expression head of an encoder, and measure how far its probabilities can be trusted.

    ferkit align DATA/ferplus/train.parquet -o train --aligned          and valid.parquet -o valid
    ferkit align DATA/lfw-expressions -o people --detect --min-face 40 --faces largest \
        --label-from '([^/]+)/[^/]+$' --identity-from '([^/]+)_[0-9]+\.jpg$'
    ferkit embed train -e votes-r18 -o train.npy                        and valid, people
    python benchmarks/fit_expression_head.py votes-r18 train.npy valid.npy people.npy -o src/ferkit/weights

Classifier and prototypes are fitted on FER+ train. An encoder that learnt from those faces' labels is surer of them
than of others, so temperature and the curve of "the same expression" are fitted on one half of FER+ valid (by the last
digit of a crop's hash); the other half, and the test quarter of the people of lfw-expressions, are what is measured.
Prints the entry's block ``head`` and the reliability curves.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import yaml
from development_data import is_test_person
from scipy.stats import binomtest

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.encoders.encoder import load_encoder
from ferkit.encoders.expression_head import ExpressionHead
from ferkit.evaluation.calibration import fit_curve, sample_pairs
from ferkit.evaluation.head import at_temperature, fit_head, temperature_of

DATA = (
    "classifier and prototypes: the labelled faces of FER+ train; temperature and the curve of the same expression: "
    "one half of FER+ valid"
)


NOTES = {"unsupervised": "; the encoder itself saw no labels"}


class Labelled(NamedTuple):
    """Faces of an embedding set that have a label."""

    vectors: np.ndarray
    labels: list[str]
    people: list[str | None]


def labelled(opened: EmbeddingSet, keep) -> Labelled:
    rows = opened.table.select(["label", "identity", "sha256"]).to_pylist()
    kept = [number for number, row in enumerate(rows) if row["label"] is not None and keep(row)]
    return Labelled(opened.vectors[kept], [rows[n]["label"] for n in kept], [rows[n]["identity"] for n in kept])


def reliability(probability, right, bins=15) -> list[tuple[float, float, int]]:
    """Mean probability, share that came true, and number of predictions, by bins of equal width that are not empty."""
    places = np.minimum((probability.astype(np.float64) * bins).astype(int), bins - 1)
    inside = [places == number for number in np.unique(places)]
    return [(float(probability[at].mean(dtype=np.float64)), float(right[at].mean()), int(at.sum())) for at in inside]


def calibration_error(probability, right) -> float:
    """Mean distance between probability and truth (arXiv:1706.04599, eq. 3)."""
    return sum(count * abs(mean - true) for mean, true, count in reliability(probability, right)) / len(right)


def measure(head: ExpressionHead, faces: Labelled) -> dict:
    shares = head.probabilities(faces.vectors)
    answers = np.array(head.classes)[shares.argmax(axis=1)]
    right = answers == np.array(faces.labels)
    pairs = sample_pairs(*faces, seed=1)
    same = head.same_probability(pairs.cosines)
    return {
        "accuracy": right,
        "ece": calibration_error(shares.max(axis=1), right),
        "curve": reliability(shares.max(axis=1), right),
        "same_ece": calibration_error(same, pairs.same),
        "same_accuracy": (same > 0.5) == pairs.same,
        "same_curve": reliability(same, pairs.same, bins=10),
        "faces": len(faces.labels),
    }


def metrics(measured: dict[str, dict]) -> list[dict]:
    def rounded(right):
        ends = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
        return {"value": round(float(right.mean()), 3), "interval": [round(float(end), 3) for end in ends]}

    lines = []
    for data, found in measured.items():
        data = f"{data}, {found['faces']:,} faces"
        lines += [
            {"protocol": "accuracy of the likeliest class", "data": data, **rounded(found["accuracy"])},
            {
                "protocol": "expected calibration error of its probability",
                "data": data,
                "value": round(float(found["ece"]), 3),
            },
            {
                "protocol": "same expression or not, right at probability .5, pairs of different people (chance 0.5)",
                "data": data,
                **rounded(found["same_accuracy"]),
            },
            {
                "protocol": "expected calibration error of the probability of the same expression",
                "data": data,
                "value": round(float(found["same_ece"]), 3),
            },
        ]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder")
    parser.add_argument("train", type=Path)
    parser.add_argument("valid", type=Path)
    parser.add_argument("people", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the head")
    given = parser.parse_args()
    encoder = load_encoder(given.encoder, "cpu")
    sets = [EmbeddingSet.open(path) for path in (given.train, given.valid, given.people)]
    assert {opened.encoder.sha256 for opened in sets} == {encoder.sha256}, "the sets are of another encoder"
    train, valid, people = sets
    held_out = labelled(valid, lambda row: int(row["sha256"][-1], 16) % 2 == 0)
    fitted = fit_head(encoder.sha256, *labelled(train, lambda row: True)[:2])
    curve = fit_curve(sample_pairs(*held_out))
    temperature = temperature_of(fitted, held_out.vectors, held_out.labels)
    head = replace(at_temperature(fitted, temperature), same=curve)
    measured = {
        "the other half of FER+ valid": measure(head, labelled(valid, lambda row: int(row["sha256"][-1], 16) % 2 == 1)),
        "lfw-expressions without fear, test people": measure(
            head,
            labelled(
                people, lambda row: row["label"] in set(head.classes) - {"fear"} and is_test_person(row["identity"])
            ),
        ),
    }
    path = given.out / f"{encoder.name}.head.safetensors"
    sha256 = head.save(path)
    block = {
        "file": path.name,
        "sha256": sha256,
        "bytes": path.stat().st_size,
        "data": DATA + NOTES.get(encoder.entry.supervision, ""),
        "metrics": metrics(measured),
    }
    print(yaml.safe_dump({"head": block}, sort_keys=False, width=200, default_flow_style=None))
    print(json.dumps({"temperature": temperature, "same": curve, **measured}, default=str))


if __name__ == "__main__":
    main()
