"""Face detection beside facenet_pytorch.MTCNN.detect: time, recall and precision at the same smallest face.

    pytest benchmarks/bench_detection.py --benchmark-only
    python benchmarks/bench_detection.py                   the same as a table, and benchmarks/results/detection.json

The photos are those of ``$FERKIT_DATA/photos`` (or ``../shared/data/photos`` beside the repository), decoded before the
clock starts. Recall and precision are counted at IoU 0.5 on the photos that dlib's XML files annotate. facenet-pytorch
is called image by image: its batches need equal sizes and fail with numpy >= 1.24. Both use as many threads as torch
does (OMP_NUM_THREADS). On a machine that is busy otherwise, the ratio of CPU times says more than the clock's.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ferkit.data.images import read_image
from ferkit.faces import FaceDetector
from ferkit.ops.boxes import box_iou

PHOTOS = Path(os.environ.get("FERKIT_DATA") or Path(__file__).parents[2] / "shared" / "data") / "photos"
RESULT = Path(__file__).parent / "results" / "detection.json"
MIN_FACE = 20
ROUNDS = 5

Pixels = NDArray[np.uint8]
Boxes = NDArray[np.float32]
Detect = Callable[[Sequence[Pixels]], list[Boxes]]


@dataclass(frozen=True)
class Photo:
    """A decoded photo and its annotated (n, 4) boxes, None where nobody annotated it."""

    image: Pixels
    boxes: Boxes | None


@dataclass(frozen=True)
class Timing:
    """Seconds for all photos, one value a round."""

    wall: list[float]
    cpu: list[float]


def photos() -> list[Photo]:
    known = annotations()
    return [Photo(read_image(path), known.get(path.name)) for path in sorted(PHOTOS.glob("*/*.jpg"))]


def annotations() -> dict[str, Boxes]:
    images = [
        image
        for part in ("training", "testing")
        for image in ElementTree.parse(PHOTOS / "groups" / f"{part}_with_face_landmarks.xml").iter("image")
    ]
    return {image.get("file", ""): np.float32([corners(box) for box in image.iter("box")]) for image in images}


def corners(box: ElementTree.Element) -> list[int]:
    left, top, width, height = (int(box.get(side, "0")) for side in ("left", "top", "width", "height"))
    return [left, top, left + width, top + height]


def ferkit_detect() -> Detect:
    detector = FaceDetector(min_face=MIN_FACE)
    return lambda images: [found.boxes for found in detector.detect(images)]


def facenet_detect() -> Detect:
    from facenet_pytorch import MTCNN

    detector = MTCNN(keep_all=True, min_face_size=MIN_FACE)

    def detect(images: Sequence[Pixels]) -> list[Boxes]:
        found = (detector.detect(image, landmarks=True)[0] for image in images)
        return [np.empty((0, 4), np.float32) if boxes is None else np.float32(boxes) for boxes in found]

    return detect


def timed(contenders: dict[str, Detect], images: Sequence[Pixels]) -> dict[str, Timing]:
    """Time the contenders in turn, so that whatever else the machine does meets all of them; one round warms up."""
    timings = {name: Timing([], []) for name in contenders}
    for detect in contenders.values():
        detect(images)
    for _ in range(ROUNDS):
        for name, detect in contenders.items():
            wall, cpu = time.perf_counter(), time.process_time()
            detect(images)
            timings[name].wall.append(time.perf_counter() - wall)
            timings[name].cpu.append(time.process_time() - cpu)
    return timings


def accuracy(found: Sequence[Boxes], shown: Sequence[Photo]) -> dict[str, float]:
    """Recall and precision at IoU 0.5 over the annotated photos, and boxes on all others."""
    pairs = [(boxes, photo.boxes) for boxes, photo in zip(found, shown, strict=True) if photo.boxes is not None]
    hits = sum(matched(boxes, wanted) for boxes, wanted in pairs)
    return {
        "recall": hits / sum(len(wanted) for _, wanted in pairs),
        "precision": hits / sum(len(boxes) for boxes, _ in pairs),
        "boxes": sum(len(boxes) for boxes in found),
    }


def matched(boxes: Boxes, wanted: Boxes) -> int:
    """Annotated boxes with a detection of their own at IoU >= 0.5, the best overlaps taken first."""
    overlap = box_iou(torch.from_numpy(boxes), torch.from_numpy(wanted)).numpy()
    hits = 0
    while overlap.size and overlap.max() >= 0.5:
        row, column = np.unravel_index(overlap.argmax(), overlap.shape)
        overlap[row], overlap[:, column] = 0, 0
        hits += 1
    return hits


def compare() -> dict[str, object]:
    """Measure both detectors in this one run."""
    cv2.setNumThreads(torch.get_num_threads())
    shown = photos()
    images = [photo.image for photo in shown]
    contenders = {"ferkit": ferkit_detect(), "facenet-pytorch": facenet_detect()}
    load = os.getloadavg()[0]
    timings = timed(contenders, images)
    rows = {name: row(timings[name], accuracy(contenders[name](images), shown), len(images)) for name in contenders}
    ours, theirs = timings["ferkit"], timings["facenet-pytorch"]
    return {
        "detectors": rows,
        "wall ratio": statistics.median(b / a for a, b in zip(ours.wall, theirs.wall, strict=True)),
        "cpu ratio": statistics.median(b / a for a, b in zip(ours.cpu, theirs.cpu, strict=True)),
        "photos": len(images),
        "megapixels": round(sum(image.size for image in images) / 3e6, 1),
        "min_face": MIN_FACE,
        "rounds": ROUNDS,
        "machine": machine(load),
    }


def row(timing: Timing, quality: dict[str, float], count: int) -> dict[str, float]:
    low, middle, high = statistics.quantiles(timing.wall, n=4)
    return {
        "images/s": count / middle,
        "seconds": middle,
        "seconds IQR": high - low,
        "cpu seconds": statistics.median(timing.cpu),
        **quality,
    }


def machine(load: float) -> dict[str, object]:
    packages = {name: version(name) for name in ("torch", "torchvision", "facenet-pytorch", "opencv-python", "numpy")}
    return {
        "cpu": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load before": load,
        **packages,
    }


def table(result: dict[str, object]) -> str:
    """The result as Markdown."""
    lines = ["| detector | images/s | seconds (IQR) | CPU seconds | recall | precision |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {name} | {cells['images/s']:.1f} | {cells['seconds']:.2f} ({cells['seconds IQR']:.2f}) "
        f"| {cells['cpu seconds']:.2f} | {cells['recall']:.3f} | {cells['precision']:.3f} |"
        for name, cells in result["detectors"].items()
    ]
    lines += ["", f"ratio: {result['wall ratio']:.1f} by the clock, {result['cpu ratio']:.1f} in CPU time"]
    return "\n".join(lines)


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="no photos here: set FERKIT_DATA to a folder of them")
def test_detection_beside_facenet_pytorch(benchmark, capsys):
    result = benchmark.pedantic(compare, rounds=1, iterations=1)
    benchmark.extra_info.update(result)
    with capsys.disabled():
        print("\n" + table(result))


if __name__ == "__main__":
    measured = compare()
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    print(table(measured))
