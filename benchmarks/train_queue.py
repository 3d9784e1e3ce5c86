"""Train the queue's recipes where a GPU is at hand for some minutes: pack the faces here, train there, measure.

    python benchmarks/train_queue.py pack carry/pack                    development faces, compressed, in parts
    python benchmarks/train_queue.py unpack carry/pack /tmp/faces pilot dev    some of the face sets, there
    python benchmarks/train_queue.py train /tmp/faces /tmp/runs contrast regress ...
    python benchmarks/train_queue.py score /tmp/faces /tmp/runs/... --json scores.json

`train` runs the recipes side by side, one process each: a small network leaves most of a large GPU idle. A recipe that
was stopped goes on. `pack` keeps the small gray pictures of FER+ as they are and all other crops as lossless WebP.

The face sets: `train`, all faces that may be trained on, with the votes of FER+; `pilot` and `dev`, the same in two
parts: a tenth of FER+ and a fifth of the people are left out of pilots, to choose between them without a look at the
faces that figures are reported on. `valid` is FER+ valid.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from development_data import DATA, build_voted_faces
from numpy.typing import NDArray
from PIL import Image

import ferkit
from ferkit.data.face_set import FaceSet
from ferkit.data.faces import crop_sha256
from ferkit.pipeline.decoding import square_crop

COMMON = {
    "init": "contrawarping-r18",
    "views.scale": (0.75, 1.0),
    "views.aspect": (0.9, 1.11),
    "views.gray": 1.0,
    "batch_size": 256,
}
UNSUPERVISED = {
    **COMMON,
    "method": "unwarp",
    "regress": 10.0,
    "views.size": 64,
    "views.rotation": 8.0,
    "views.blur": 0.3,
    "warps.radius": (0.25, 0.5),
    "warps.strength": (0.3, 0.7),
    "weight_decay": 0.01,
    "lr": 1e-3,
}
SUPERVISED = {
    **COMMON,
    "method": "votes",
    "views.size": 96,
    "views.rotation": 10.0,
    "views.blur": 0.2,
    "weight_decay": 0.05,
    "lr": 8e-4,
    "classes": ("anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
}
ALONE = {"strangers": False, "spread": 1.0}
RECIPES: dict[str, dict[str, Any]] = {
    "contrast": {**UNSUPERVISED, "regress": 0.0},
    "regress": UNSUPERVISED,
    "regress-neighbours": {**UNSUPERVISED, "neighbours": 1.0, "spared": 0.1},
    "alone": {**UNSUPERVISED, **ALONE},
    "alone-neighbours": {**UNSUPERVISED, **ALONE, "neighbours": 1.0},
    "votes-plain": {**SUPERVISED, "mix": 0.0},
    "votes-mixed": {**SUPERVISED, "mix": 0.5, "views.erase": 0.25},
    "votes-no-contrast": {**SUPERVISED, "mix": 0.5, "views.erase": 0.25, "contrast": 0.0},
}
LONG = {"faces": "train", "ema": 0.999, "weight_decay": 0.05}
ROUGH = {"views.blur": 0.5, "views.sigma": (0.3, 2.0)}
"""Blurred so that sharp photos look as the small pictures of FER+ do."""
RECIPES |= {
    "unwarp-long": {
        **UNSUPERVISED,
        **LONG,
        "weight_decay": 0.01,
        "epochs": 9,
        "neighbours": 1.0,
        "spared": 0.1,
        "queue": 16384,
    },
    "votes-long": {**SUPERVISED, **LONG, **ROUGH, "mix": 0.4, "views.erase": 0.25, "epochs": 58.67},
}
RECIPES["distill-mobile"] = {
    "faces": "train",
    "method": "distill",
    "backbone": "mobilenetv4_conv_small",
    "views.size": 64,
    "views.scale": (0.75, 1.0),
    "views.aspect": (0.9, 1.11),
    "views.rotation": 10.0,
    "views.gray": 1.0,
    **ROUGH,
    "views.erase": 0.25,
    "batch_size": 128,
    "lr": 2e-3,
    "weight_decay": 0.02,
    "epochs": 9,
    "ema": 0.999,
}
RECIPES["distill-half"] = {
    **RECIPES["distill-mobile"],
    "backbone": "resnet18-half",
    "init": "runs/half-init",
    "views.size": 96,
    "vector": 512,
    "direct": 1.0,
    "epochs": 26,
    "lr": 1.5e-3,
    "weight_decay": 0.05,
}
"""Begun from `slim_encoder.py votes-r18 runs/half-init`."""
DRAWN = {
    **SUPERVISED,
    **ROUGH,
    "backbone": "resnet18-quarters",
    "init": "runs/unwarp-r18",
    "classes": ("anger", "happiness", "neutral", "sadness", "surprise"),
    "views.size": 64,
    "views.erase": 0.25,
    "mix": 0.4,
    "smoothing": 0.1,
    "emphasis": 1.0,
    "batch_size": 128,
    "lr": 6e-4,
    "ema": 0.99,
    "epochs": 4,
}
RECIPES |= {name: {**DRAWN, "faces": name} for name in ("drawn-1", "drawn-2", "drawn-3")}
RECIPES["drawn-4"] = {**DRAWN, "faces": "drawn-4", "epochs": 7}
"""Labels by `drawn_labels.py`, one after the other; all begin from `quarters_encoder.py … runs/unwarp-r18`."""
USUAL = {
    "precision": "bf16",
    "ema": 0.998,
    "warmup": 0.05,
    "monitor.every": 0,
    "checkpoint_steps": 100,
    "log_steps": 50,
}


_TRIAL = 100


def pack(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        faces = build_voted_faces(Path(folder) / "train")
        for name in ("faces.parquet", "meta.json", "problems.csv"):
            (out / name).write_bytes((faces.path / name).read_bytes())
        people = [row for row, who in enumerate(faces.column("identity").to_pylist()) if who is not None]
        with zipfile.ZipFile(out / "people.zip", "w", zipfile.ZIP_STORED) as file:
            for row in people:
                crop = faces.crops([row])[0]
                gray = (crop == crop[..., :1]).all()
                stream = io.BytesIO()
                Image.fromarray(crop[..., 0] if gray else crop).save(
                    stream, "WEBP", lossless=True, quality=50, method=3
                )
                file.writestr(f"{row}.webp", stream.getvalue())
    for part in ("train", "valid"):
        (out / f"{part}.parquet").write_bytes((DATA / "ferplus" / f"{part}.parquet").read_bytes())


def unpack(pack: Path, out: Path, names: list[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    table = pq.read_table(pack / "faces.parquet")
    crops = np.empty((len(table), 128, 128, 3), np.uint8)
    own = _pictures_of(pack / "train.parquet")
    crops[: len(own)] = own
    with zipfile.ZipFile(pack / "people.zip") as file:
        rows = [int(name.removesuffix(".webp")) for name in file.namelist()]
        crops[rows] = _pictures([file.read(name) for name in file.namelist()])
    changed = [
        row for row, its in enumerate(table["sha256"].to_pylist()) if row % 50 == 0 and crop_sha256(crops[row]) != its
    ]
    print(f"{len(crops)} faces; of every fiftieth, {len(changed)} have not the pixels that they had")
    held_out = np.array([_is_held_out(who, row) for row, who in enumerate(table["identity"].to_pylist())])
    for name, rows in (("train", held_out | True), ("pilot", ~held_out), ("dev", held_out)):
        if name in names:
            _write(out / name, pack, table.filter(pa.array(rows)), crops[rows])
    labels = pq.read_table(pack / "valid.parquet", columns=["label"])["label"].to_pylist()
    crops = _pictures_of(pack / "valid.parquet")
    np.savez(out / "valid.npz", crops=crops, label=np.array([label or "" for label in labels]))


def _pictures_of(parquet: Path) -> NDArray[np.uint8]:
    values = [row["bytes"] for row in pq.read_table(parquet, columns=["image"])["image"].to_pylist()]
    return _pictures(values)


def _pictures(values: list[bytes]) -> NDArray[np.uint8]:
    with ThreadPoolExecutor(4) as pool:
        return np.stack(list(pool.map(_picture, values)))


def _picture(value: bytes) -> NDArray[np.uint8]:
    return square_crop(np.asarray(Image.open(io.BytesIO(value)).convert("RGB")), "")[0]


def _is_held_out(who: str | None, row: int) -> bool:
    if who is None:
        return row % 10 == 0
    return hashlib.sha256(f"pilot {who}".encode()).digest()[0] % 5 == 0


def _write(folder: Path, pack: Path, table: Any, crops: NDArray[np.uint8]) -> None:
    folder.mkdir(exist_ok=True)
    for number, start in enumerate(range(0, len(crops), 4096)):
        np.save(folder / f"faces-{number:05d}.npy", crops[start : start + 4096])
    pq.write_table(table, folder / "faces.parquet", row_group_size=8192)
    meta = {**json.loads((pack / "meta.json").read_text()), "count": len(crops)}
    (folder / "meta.json").write_text(json.dumps(meta))


def train(faces: Path, runs: Path, names: list[str], steps: int | None, seconds: float | None) -> None:
    """Train recipes side by side, one process each; so many steps as fit the time, by a trial of some seconds."""
    if seconds:
        train(faces, runs / "trial", names, _TRIAL, None)
        rates = {name: float((runs / "trial" / name / "metrics.csv").read_text().split(",")[-1]) for name in names}
        print(rates, flush=True)
    runs.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    running = {
        name: subprocess.Popen(
            _command(
                faces, runs, name, round(seconds * rates[name] / RECIPES[name]["batch_size"]) if seconds else steps
            ),
            stdout=(runs / f"{name}.log").open("w"),
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for name in names
    }
    for name, process in running.items():
        code = process.wait()
        print(f"{name}: exit {code} after {time.monotonic() - started:.0f} s", flush=True)
        if code:
            print((runs / f"{name}.log").read_text()[-1500:])


def _command(faces: Path, runs: Path, name: str, steps: int | None) -> list[str]:
    return [sys.executable, __file__, *(["--steps", str(steps)] if steps else []), "one", str(faces), str(runs), name]


def train_one(faces: Path, run: Path, name: str, steps: int | None) -> None:
    recipe = dict(RECIPES[name])
    choices = {key: recipe.pop(key) for key in ("method", "init", "backbone") if key in recipe}
    opened = FaceSet.open(faces / recipe.pop("faces", "pilot"))
    if steps:
        recipe["epochs"] = steps / (len(opened) // recipe["batch_size"])
    result = ferkit.pretrain(opened.path, run, settings={**USUAL, **recipe}, resume=True, **choices)
    print(result)


def score(faces: Path, runs: list[Path]) -> dict[str, dict[str, float]]:
    """Figures of some encoders on the held-out development faces."""
    import torch

    from ferkit.encoders.encoder import load_encoder
    from ferkit.evaluation.knn import knn_answers
    from ferkit.evaluation.leakage import neighbour_leak
    from ferkit.evaluation.triplets import triplet_score

    opened = FaceSet.open(faces / "train")
    who, what = (np.array(opened.column(name).to_pylist(), object) for name in ("identity", "label"))
    held_out = np.array([_is_held_out(name, row) for row, name in enumerate(who)])
    some, labelled = np.array([name is not None for name in who]), np.array([name is not None for name in what])
    fit, dev, people = (
        np.flatnonzero(rows) for rows in (~some & labelled & ~held_out, ~some & labelled & held_out, some & held_out)
    )
    valid = np.load(faces / "valid.npz")
    known = valid["label"] != ""
    scores = {}
    for run in runs:
        encoder = load_encoder(run if (run / "encoder.yaml").exists() else run.name)
        train = encoder.embed(opened.crops(fit), batch_size=512)
        figures = {}
        for name, vectors, label in (
            ("dev", encoder.embed(opened.crops(dev), batch_size=512), what[dev]),
            ("valid", encoder.embed(valid["crops"][known], batch_size=512), valid["label"][known]),
        ):
            figures[f"{name} linear"] = ridge_accuracy(train, what[fit], vectors, label, torch)
            figures[f"{name} knn"] = float((knn_answers(train, list(what[fit]), vectors) == label).mean())
        vectors = encoder.embed(opened.crops(people), batch_size=512)
        names, labels = who[people], np.where(what[people] == "smiling", "happiness", what[people])
        studio = np.array([name.isdigit() for name in names])
        lfw = ~studio & np.isin(labels, ["happiness", "neutral"])
        for name, rows in (("lfw", lfw), ("studio", studio)):
            figures[f"{name} triplets"] = triplet_score(vectors[rows], list(labels[rows]), list(names[rows])).by_person
        figures["lfw leak"] = neighbour_leak(vectors[~studio], list(names[~studio]), list(names[~studio])).rate
        scores[run.name] = figures
        print(run.name, {name: round(value, 3) for name, value in figures.items()}, flush=True)
    return scores


def ridge_accuracy(train: Any, label: Any, vectors: Any, told: Any, torch: Any) -> float:
    """Accuracy of a least-squares classifier on standardised features, its strength fixed: to rank pilots quickly."""
    classes = sorted(set(label))
    place = "cuda" if torch.cuda.is_available() else "cpu"
    x, y = (torch.from_numpy(np.asarray(v)).to(place).double() for v in (train, vectors))
    mean, std = x.mean(0), x.std(0) + 1e-6
    x, y = (x - mean) / std, (y - mean) / std
    target = torch.from_numpy(np.stack([label == name for name in classes], 1).astype(np.float64)).to(place)
    weights = torch.linalg.solve(
        x.T @ x + 100 * torch.eye(x.shape[1], device=place).double(), x.T @ (target - target.mean(0))
    )
    guess = (y @ weights + target.mean(0)).argmax(1).cpu().numpy()
    return float(np.mean([classes[g] == t for g, t in zip(guess, told, strict=True)]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=["pack", "unpack", "train", "one", "score"])
    parser.add_argument("places", nargs="+")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seconds", type=float, help="train: choose the steps to fit")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    paths = [Path(place) for place in given.places]
    if given.verb == "pack":
        pack(paths[0])
    elif given.verb == "unpack":
        unpack(paths[0], paths[1], given.places[2:])
    elif given.verb == "train":
        train(paths[0], paths[1], given.places[2:], given.steps, given.seconds)
    elif given.verb == "one":
        train_one(paths[0], paths[1] / given.places[2], given.places[2], given.steps)
    else:
        result = score(paths[0], paths[1:])
        if given.json:
            given.json.write_text(json.dumps(result, indent=1) + "\n")
