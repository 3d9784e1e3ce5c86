"""Does the idea hold? Local warps as negatives, against the same objectives without them, at a size that a CPU can do.

    python benchmarks/idea.py carry/faces --seeds 0 1 2
    python benchmarks/idea.py carry/faces --rows hinge 'strength x 0.5' --seeds 0
    python benchmarks/idea.py --json benchmarks/results/idea.json       the table of all runs that have ended

Every row learns from the same faces with the same network, steps, views and optimiser; `SETTINGS` says which, `ROWS`
and `SWEEP` what differs. Measured are linear and kNN accuracy on FER+ valid, cross-identity triplets of test people,
and how often a face's other view is nearer than its warp ("told"). Runs go on where they stopped.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from ferplus import labelled
from ferplus import measure as measure_labels
from numpy.typing import NDArray
from torch import Tensor
from triplets import COLLECTIONS, aligned
from triplets import measure as measure_triplets

import ferkit
from ferkit.encoders.encoder import Encoder, load_encoder, random_encoder
from ferkit.faces.template import TEMPLATE
from ferkit.methods.contrawarping import ContraWarping, ContraWarpingSettings

Row = tuple[str, dict[str, Any]]

BACKBONE, SIZE = "resnet10t", 48
SETTINGS: dict[str, Any] = {
    "epochs": 2.0,
    "batch_size": 64,
    "precision": "bf16",
    "warmup": 0.05,
    "views.size": SIZE,
    **{"views.scale": [0.65, 1.0], "views.aspect": [0.8, 1.25], "views.rotation": 12, "views.blur": 0.5},
    "checkpoint_steps": 500,
    "monitor.every": 0,
}
HEADS = {"hidden": 1024}
SIMCLR = {"base": "simclr", "temperature": 0.1}
MILD = {"views.scale": [0.85, 1.0], "views.aspect": [0.95, 1.05], "views.rotation": 5, "views.blur": 0.1}

ROWS: dict[str, Row] = {
    "byol": ("byol", HEADS),
    "byol + hinge": ("contrawarping", {**HEADS, "term": "hinge"}),
    "byol + infonce": ("contrawarping", {**HEADS, "term": "infonce"}),
    "byol + repel": ("contrawarping", {**HEADS, "term": "repel"}),
    "byol + warps as positives": ("contrawarping", {**HEADS, "role": "positives"}),
    "simclr": ("simclr", {"temperature": 0.1}),
    "simclr + warps": ("contrawarping", SIMCLR),
    "simclr + own warps": ("contrawarping", {**SIMCLR, "pool": "own"}),
    "simclr + warps further": ("contrawarping", {**SIMCLR, "warps.strength": [0.6, 1.0]}),
    "mocov2": ("mocov2", {}),
    "simclr, mild views": ("simclr", {"temperature": 0.1, **MILD}),
    "simclr + warps, mild views": ("contrawarping", {**SIMCLR, **MILD}),
    "simclr + own warps, mild views": ("contrawarping", {**SIMCLR, "pool": "own", **MILD}),
}
"""What the table compares: a method and where its settings differ."""

SWEPT = ROWS["simclr + warps, mild views"][1]
SWEEP: dict[str, Row] = {
    name: ("contrawarping", {**SWEPT, **changed})
    for name, changed in {
        "strength [0.1, 0.25]": {"warps.strength": [0.1, 0.25]},
        "strength [0.6, 1.0]": {"warps.strength": [0.6, 1.0]},
        "radius [0.1, 0.2]": {"warps.radius": [0.1, 0.2]},
        "radius [0.4, 0.6]": {"warps.radius": [0.4, 0.6]},
        "one bump": {"warps.bumps": [1, 1]},
        "6 to 10 bumps": {"warps.bumps": [6, 10]},
        "placement uniform": {"warps.placement": "uniform"},
        "kind field": {"warps.kind": "field"},
        "kind tps": {"warps.kind": "tps"},
        "3 warps a face": {"negatives": 3},
    }.items()
}
"""One setting of the warps changed at a time, from the row that they are changed of."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faces", nargs="?", type=Path, help="face set to train on; none only prints the table")
    parser.add_argument("--rows", nargs="+", default=[*ROWS, *SWEEP], metavar="NAME", help="of ROWS and SWEEP")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--cache", type=Path, default=Path("carry"), help="folder of the faces that are measured on")
    parser.add_argument("--out", type=Path, default=Path("runs/idea"))
    parser.add_argument("--json", type=Path, help="also write the figures here")
    given = parser.parse_args()
    if given.faces:
        for seed in given.seeds:
            for name in given.rows:
                train_and_measure(name, seed, given.faces, given.out, given.cache)
        return
    scores = collected(given.out, given.cache)
    print(as_markdown(scores))
    if given.json:
        content = {"backbone": BACKBONE, "settings": SETTINGS, "rows": {**ROWS, **SWEEP}, "scores": scores}
        given.json.write_text(json.dumps(content, indent=1) + "\n")


def train_and_measure(name: str, seed: int, faces: Path, out: Path, cache: Path) -> None:
    """Make one run, unless it is there already, and leave its figures beside it."""
    run = out / f"{folder_of(name)}-{seed}"
    method, differing = {**ROWS, **SWEEP}[name]
    if (run / "scores.json").exists():
        return
    ferkit.pretrain(
        faces, run, method=method, backbone=BACKBONE, seed=seed, settings={**SETTINGS, **differing}, resume=True
    )
    (run / "scores.json").write_text(json.dumps(measure(load_encoder(run, device="cpu"), cache)) + "\n")


def folder_of(name: str) -> str:
    """A row's name without what a shell or a pattern would take otherwise."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-")


def measure(encoder: Encoder, cache: Path) -> dict[str, float]:
    """Linear and kNN accuracy (8,000 rows of FER+ train to valid), triplets of the test people, and warps told."""
    known, asked = (labelled(part, cache) for part in ("train", "valid"))
    rows = np.sort(np.random.default_rng(0).permutation(len(known[1]))[:8000])
    linear, knn = measure_labels(encoder.embed, (known[0][rows], [known[1][row] for row in rows]), asked)
    triplets = {
        collection: measure_triplets({"it": encoder.embed}, aligned(collection, "test", cache), pair)["it"].accuracy
        for collection, pair in COLLECTIONS.items()
    }
    told = {"told": told_warps(encoder, asked[0], {}), "told_mild": told_warps(encoder, asked[0], MILD)}
    return {**told, "linear": linear.accuracy, "knn": knn.accuracy, **triplets}


@torch.no_grad()
def told_warps(encoder: Encoder, crops: NDArray[np.uint8], changed: Mapping[str, Any]) -> float:
    """How often a face's other view is nearer than a view of its warp; by the default warps, whatever it was taught."""
    views = {name[6:]: value for name, value in {**SETTINGS, **changed}.items() if name.startswith("views.")}
    settings = ContraWarpingSettings(views=views)
    method = ContraWarping(torch.nn.Identity(), 1, settings)
    landmarks = torch.from_numpy(np.tile(TEMPLATE, (len(crops), 1, 1)))
    views = method.views({"crops": torch.from_numpy(crops), "landmarks": landmarks}, torch.Generator().manual_seed(0))
    a, b, warped = (embed_views(encoder, pictures) for pictures in (views.a, views.b, views.warped[0]))
    return float(((a * b).sum(1) > (a * warped).sum(1)).float().mean())


def embed_views(encoder: Encoder, views: Tensor) -> Tensor:
    """(N, 3, S, S) normalised views to (N, D) centred unit vectors."""
    features = torch.cat([encoder.backbone(some) for some in views.split(256)])
    return F.normalize(features - encoder.center, dim=1)


def collected(out: Path, cache: Path) -> dict[str, list[dict[str, float]]]:
    """The figures of all runs that have ended, by row in the order of the seeds, and those of random weights."""
    scores: dict[str, list[dict[str, float]]] = defaultdict(list)
    for seed in range(3):
        scores["random weights"].append(measure(random_encoder(BACKBONE, SIZE, seed), cache))
    for name in [*ROWS, *SWEEP]:
        for path in sorted(out.glob(f"{folder_of(name)}-[0-9]/scores.json")):
            scores[name].append(json.loads(path.read_text()))
    return scores


def as_markdown(scores: Mapping[str, list[dict[str, float]]]) -> str:
    columns = ("told", "told_mild", "linear", "knn", "lfw-expressions", "studio-smiles")
    lines = ["| | seeds | " + " | ".join(columns) + " |", "|---" * (len(columns) + 2) + "|"]
    for name, runs in scores.items():
        cells = (as_text([run[column] for run in runs if run.get(column) is not None]) for column in columns)
        lines.append(f"| {name} | {len(runs)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def as_text(values: list[float]) -> str:
    """Mean, and the standard deviation over seeds where there are several."""
    if not values:
        return "–"
    return f"{np.mean(values):.3f}" + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
