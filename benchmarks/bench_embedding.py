"""Embedding: each runtime's rate and accuracy, the whole way from face or photo to vector, and facenet-pytorch's loop.

    OMP_NUM_THREADS=2 python benchmarks/bench_embedding.py   tables, and benchmarks/results/embedding.json
    pytest benchmarks/bench_embedding.py --benchmark-only

Faces and photos are those of ``$FERKIT_DATA`` (or ``../shared/data`` beside the repository); face sets of FER+ are kept
in ``carry/``. All measurements of a table run in turn, round by round, and medians are told; on a machine that is busy
otherwise, the ratios say more than the rates.

- *Crops*: ``ferkit embed`` of a face set (FER+ valid) against the bare encoder on the same crops in memory.
- *Accuracy*: a linear probe on FER+ valid, fitted on 8,000 rows of train, by each runtime; int8 calibrated as
  ``ferkit embed`` does on the training faces.
- *Photos*: ``ferkit embed`` of photos against its slowest stage alone (decode; detect and align; encode), and against
  the plain loop: PIL, `facenet_pytorch.MTCNN` with the same smallest face, and the same encoder, photo by photo; from
  20 px also against `DeepFace.represent`, where ``$DEEPFACE_PYTHON`` says how (see `deepface_represent.py`).
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from development_data import DATA
from PIL import Image
from scipy.stats import binomtest

import ferkit
from ferkit.data.face_set import FaceSet
from ferkit.encoders.encoder import Encoder
from ferkit.encoders.runtimes import is_installed
from ferkit.evaluation.linear import linear_answers
from ferkit.pipeline.decoding import group_by_pixels, read_ahead, read_photo
from ferkit.pipeline.face_finder import finder_of
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.face_stream import SetStream, open_pictures
from ferkit.pipeline.runtimes import Embedder, choose_runtime, open_runtime
from ferkit.progress import Silent

RESULT = Path(__file__).parent / "results" / "embedding.json"
CARRY = Path(__file__).parents[1] / "carry"
TRAIN_ROWS = 8000
WAYS = [("torch", "float32"), ("onnx", "float32"), ("openvino", "float32"), ("onnx", "int8"), ("openvino", "int8")]


def installed_ways() -> list[tuple[str, str]]:
    return [way for way in WAYS if is_installed(way[0])]


def embedder_of(encoder: Encoder, way: tuple[str, str], faces: FaceSet) -> Embedder:
    """What computes in ``ferkit embed``, int8 calibrated on the first of these faces."""
    return open_runtime(choose_runtime(*way, "cpu", len(faces)), encoder, SetStream(faces), Silent()).embedder


def in_turn(runs: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Seconds that each run tells of itself, round by round; one round warms up."""
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            seconds[name].append(run())
    return seconds


def clocked(function: Callable[[], object]) -> Callable[[], float]:
    def run() -> float:
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    return run


def ratio(over: list[float], under: list[float]) -> list[float]:
    """Quartiles of a ratio of seconds, of rounds that ran next to each other."""
    return [round(q, 3) for q in statistics.quantiles([a / b for a, b in zip(over, under, strict=True)], n=4)]


def crops(encoder: Encoder, folder: Path, rounds: int = 3) -> dict[str, object]:
    """The bare encoder in every way, and ``ferkit embed`` of the face set on disk."""
    path = face_set("valid")
    faces = FaceSet.open(path)
    pixels = faces.crops(range(len(faces)))
    runs: dict[str, Callable[[], float]] = {}
    for way in installed_ways():
        embedder, name = embedder_of(encoder, way, faces), " ".join(way)
        runs[f"bare {name}"] = clocked(partial(embedder.embed, pixels, batch_size=64))
        embed = partial(ferkit.embed, path, folder / "emb.npy", device="cpu", runtime=way[0], precision=way[1])
        runs[f"whole {name}"] = lambda embed=embed: embed().seconds
    seconds = in_turn(runs, rounds)
    rows = {}
    for name in map(" ".join, installed_ways()):
        bare, whole = seconds[f"bare {name}"], seconds[f"whole {name}"]
        rows[name] = {
            "bare faces/s": len(faces) / statistics.median(bare),
            "embed faces/s": len(faces) / statistics.median(whole),
            "embed / bare": ratio(bare, whole),
            "bare / torch": ratio(seconds["bare torch float32"], bare),
        }
    return {"faces": len(faces), "rounds": rounds, "ways": rows}


def face_set(part: str) -> Path:
    path = CARRY / f"ferplus-{part}"
    if not path.exists():
        ferkit.align([DATA / "ferplus" / f"{part}.parquet"], path, aligned=True)
    return path


def labelled(part: str) -> tuple[np.ndarray, list[str]]:
    """The labelled crops of one part of FER+, and their labels."""
    faces = FaceSet.open(face_set(part))
    labels = faces.column("label").to_pylist()
    rows = [row for row, label in enumerate(labels) if label is not None]
    return faces.crops(rows), [labels[row] for row in rows]


def accuracy(encoder: Encoder) -> dict[str, object]:
    """The linear probe on vectors, in every way of computing that differs from torch by more than rounding."""
    calibration = FaceSet.open(face_set("train"))
    train, valid = (labelled(part) for part in ("train", "valid"))
    rows = np.sort(np.random.default_rng(0).permutation(len(train[1]))[:TRAIN_ROWS])
    labels = [train[1][row] for row in rows]
    told = {}
    plain = None
    for way in installed_ways():
        if way[1] == "float32" and way[0] != "torch":
            continue
        embedder = embedder_of(encoder, way, calibration)
        known, asked = embedder.embed(train[0][rows]), embedder.embed(valid[0])
        plain = asked if plain is None else plain
        right = linear_answers(known, labels, asked).predicted == np.array(valid[1])
        cosines = (asked * plain).sum(axis=1)
        told[" ".join(way)] = {
            "linear": float(right.mean()),
            "interval": list(binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")),
            "cosine with torch": [float(cosines.mean()), float(cosines.min())],
        }
    return {"train rows": TRAIN_ROWS, "valid rows": len(valid[1]), "ways": told}


def photos(encoder: Encoder, folder: Path, min_face: int, rounds: int = 3) -> dict[str, object]:
    """The stages alone, ``ferkit embed``, and the plain loop."""
    paths = [*sorted(DATA.glob("photos/*/*.jpg")), *sorted(DATA.glob("studio-smiles/*/*.jpg"))]
    options = FaceOptions(aligned=False, min_face=min_face)
    pictures = list(open_pictures(paths, options, "cpu", Silent()).sources.pictures)
    read = partial(read_photo, min_face=min_face)
    groups = list(group_by_pixels(read_ahead(pictures, 0, read, ahead=12), 16))
    find = finder_of(options, False, "cpu")
    found = [np.concatenate([item.crops for item in find(group)]) for group in groups]
    valid = FaceSet.open(face_set("valid"))  # what int8 is calibrated on, the photos being few
    ways = [way for way in installed_ways() if way[1] == "float32"]
    embedders = {way[0]: embedder_of(encoder, way, valid) for way in ways}
    runs = {
        "decode": clocked(lambda: list(read_ahead(pictures, 0, read, ahead=12))),
        "detect and align": clocked(lambda: [find(group) for group in groups]),
    }
    for name, embedder in embedders.items():
        runs[f"encode {name}"] = clocked(partial(embed_each, embedder, found))
        embed = partial(ferkit.embed, paths, folder / "emb.npy", device="cpu", runtime=name, aligned=False)
        runs[f"whole {name}"] = lambda embed=embed: embed(min_face=min_face).seconds
    runs["plain loop"] = clocked(partial(plain_loop, paths, plain_detector(min_face), encoder))
    with deepface(paths) as represent:
        if represent is not None and min_face == 20:
            runs["deepface"] = represent
        seconds = in_turn(runs, rounds)
    slowest = max(("decode", "detect and align"), key=lambda stage: statistics.median(seconds[stage]))
    return {
        "photos": len(paths),
        "faces": sum(map(len, found)),
        "rounds": rounds,
        "seconds": {name: statistics.median(values) for name, values in seconds.items()},
        "slowest stage": slowest,
        "slowest stage alone / whole": {name: ratio(seconds[slowest], seconds[f"whole {name}"]) for name in embedders},
        **{
            f"{peer} / whole": {name: ratio(seconds[peer], seconds[f"whole {name}"]) for name in embedders}
            for peer in ("plain loop", "deepface")
            if peer in seconds
        },
    }


def embed_each(embedder: Embedder, groups: list[np.ndarray]) -> None:
    for group in groups:
        if len(group):
            embedder.embed(group)


def plain_detector(min_face: int) -> torch.nn.Module:
    from facenet_pytorch import MTCNN

    return MTCNN(image_size=128, keep_all=True, min_face_size=min_face, post_process=False)


def plain_loop(paths: list[Path], detector: torch.nn.Module, encoder: Encoder) -> None:
    for path in paths:
        with Image.open(path) as image:
            faces = detector(image.convert("RGB"))
        if faces is not None:
            encoder.embed(faces.permute(0, 2, 3, 1).round().clamp(0, 255).to(torch.uint8))


@contextmanager
def deepface(paths: list[Path]) -> Iterator[Callable[[], float] | None]:
    """What tells the seconds of one more round of `DeepFace.represent`; None where no Python has it."""
    if "DEEPFACE_PYTHON" not in os.environ:
        yield None
        return
    command = [os.environ["DEEPFACE_PYTHON"], str(Path(__file__).with_name("deepface_represent.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdin.write("".join(f"{path}\n" for path in paths))

        def represent() -> float:
            process.stdin.write("\n")
            process.stdin.flush()
            return float(process.stdout.readline().split()[0])

        yield represent
        process.stdin.close()


def measure() -> dict[str, object]:
    cv2.setNumThreads(torch.get_num_threads())
    encoder = ferkit.load_encoder(device="cpu")
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        return {
            "machine": machine() | {"load before": load},
            "encoder": encoder.name,
            "crops": crops(encoder, Path(folder)),
            "accuracy": accuracy(encoder),
            "photos": {f"from {px} px": photos(encoder, Path(folder), px) for px in (20, 40)},
        }


def machine() -> dict[str, object]:
    packages = {}
    for name in ("torch", "onnxruntime", "openvino", "facenet-pytorch", "numpy"):
        with suppress(PackageNotFoundError):
            packages[name] = version(name)
    cores = {"cpu": platform.machine(), "cores": os.cpu_count(), "threads": torch.get_num_threads()}
    return cores | packages | {"opencv": cv2.__version__}


def tables(result: Mapping[str, dict]) -> str:
    """The result as Markdown."""
    lines = ["| | bare faces/s | `ferkit embed` faces/s | embed / bare | bare / torch | linear |", "|---" * 6 + "|"]
    for name, row in result["crops"]["ways"].items():
        known = result["accuracy"]["ways"].get(name)
        linear = "" if known is None else f"{known['linear']:.4f}"
        rates = f"{row['bare faces/s']:.0f} | {row['embed faces/s']:.0f}"
        lines.append(f"| {name} | {rates} | {row['embed / bare'][1]:.2f} | {row['bare / torch'][1]:.2f} | {linear} |")
    for smallest, told in result["photos"].items():
        lines += [
            "",
            f"{told['photos']} photos, {told['faces']} faces {smallest}; slowest: {told['slowest stage']}",
            "",
        ]
        lines += ["| | seconds |", "|---|---|"]
        lines += [f"| {name} | {value:.2f} |" for name, value in told["seconds"].items()] + [""]
        for what in ("slowest stage alone / whole", "plain loop / whole", "deepface / whole"):
            lines += [f"{what}, {name}: {middle:.2f}" for name, (_, middle, _) in told.get(what, {}).items()]
    return "\n".join(lines)


@pytest.mark.skipif(not (DATA / "ferplus").is_dir(), reason="no faces here: set FERKIT_DATA to a folder of them")
def test_embedding_beside_its_parts_and_peers(benchmark, capsys):
    result = benchmark.pedantic(measure, rounds=1, iterations=1)
    benchmark.extra_info.update(result)
    with capsys.disabled():
        print("\n" + tables(result))


if __name__ == "__main__":
    measured = measure()
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    print(tables(measured))
