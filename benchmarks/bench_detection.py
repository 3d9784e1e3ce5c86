"""Face detection beside facenet_pytorch.MTCNN.detect and MediaPipe: time and accuracy at the same smallest face.

    pytest benchmarks/bench_detection.py --benchmark-only
    OMP_NUM_THREADS=2 python benchmarks/bench_detection.py   the same as tables, and benchmarks/results/detection.json
    … --openvino                                             OpenVINO computes ferkit's networks
    python benchmarks/bench_detection.py --profile           where the time goes, on one thread

Workloads, of ``$FERKIT_DATA`` (or ``../shared/data`` beside the repository), decoded before the clock starts: the
photos, and frames of the videos enlarged to 1080p. Recall, precision and landmark error are counted at IoU 0.5 on the
photos that dlib's XML files annotate; errors are mean distances of the five points in shares of the box's side, against
the matching ones of dlib's 68.

facenet-pytorch is called image by image: its batches need equal sizes and fail with numpy >= 1.24. MediaPipe is
measured where its package brings its own model (0.10 does; it needs numpy < 2; 1.x would fetch one from the internet);
it knows no smallest face. All use as many threads as torch does (OMP_NUM_THREADS). On a machine that is busy otherwise,
the ratio of CPU times says more than the clock's.

The floor: P-Net needs 1,822 multiply-adds a pixel of the pyramid (270 + 360 + 1,152 + 40 in its four layers), and at a
smallest face of 20 px the pyramid has 0.72 pixels to one of the image; R-Net needs 1.5 million a patch, O-Net 13
million. ``--profile`` sets them against the rates, on this machine, of a large matrix product and of a convolution with
64 channels.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
import timeit
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ferkit.data.images import read_image
from ferkit.faces import FaceDetector, cascade
from ferkit.faces import packed_pyramid as atlas
from ferkit.ops.boxes import box_iou

DATA = Path(os.environ.get("FERKIT_DATA") or Path(__file__).parents[2] / "shared" / "data")
PHOTOS, VIDEOS = DATA / "photos", DATA / "video"
RESULT = Path(__file__).parent / "results" / "detection.json"
FRAMES, FRAME_SIZE = 24, (1920, 1080)

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Shown:
    """(n, 4) boxes and (n, 5, 2) landmarks of one image: what is there, or what a detector found."""

    boxes: Floats
    landmarks: Floats


@dataclass(frozen=True)
class Picture:
    """A decoded image and what its annotators saw, None where nobody looked."""

    image: Pixels
    truth: Shown | None = None


@dataclass(frozen=True)
class Timing:
    """Seconds for all images, one value a round."""

    wall: list[float]
    cpu: list[float]


Detect = Callable[[Sequence[Pixels]], list[Shown]]
NOTHING = Shown(np.empty((0, 4), np.float32), np.empty((0, 5, 2), np.float32))


def photos() -> list[Picture]:
    known = annotations()
    return [Picture(read_image(path), known.get(path.name)) for path in sorted(PHOTOS.glob("*/*.jpg"))]


def annotations() -> dict[str, Shown]:
    images = [
        image
        for part in ("training", "testing")
        for image in ElementTree.parse(PHOTOS / "groups" / f"{part}_with_face_landmarks.xml").iter("image")
    ]
    return {image.get("file", ""): annotated(list(image.iter("box"))) for image in images}


def annotated(boxes: list[ElementTree.Element]) -> Shown:
    points = np.float32([[(int(p.get("x", 0)), int(p.get("y", 0))) for p in box.iter("part")] for box in boxes])
    eyes = [points[:, 36:42].mean(axis=1), points[:, 42:48].mean(axis=1)]
    five = np.stack([*eyes, points[:, 30], points[:, 48], points[:, 54]], axis=1)
    return Shown(np.float32([corners(box) for box in boxes]), five)


def corners(box: ElementTree.Element) -> list[int]:
    left, top, width, height = (int(box.get(side, "0")) for side in ("left", "top", "width", "height"))
    return [left, top, left + width, top + height]


def frames() -> list[Picture]:
    """Frames at even distances in every video, enlarged to 1080p."""
    videos = sorted(VIDEOS.glob("*/*.m*"))
    share = [FRAMES * (k + 1) // len(videos) - FRAMES * k // len(videos) for k in range(len(videos))]
    return [Picture(frame) for video, count in zip(videos, share, strict=True) for frame in spread(video, count)]


def spread(video: Path, count: int) -> list[Pixels]:
    capture = cv2.VideoCapture(str(video))
    every = []
    while (read := capture.read())[0]:
        every.append(read[1])
    chosen = np.linspace(0, len(every) - 1, count + 2).round().astype(int)[1:-1]
    sized = (cv2.resize(every[number], FRAME_SIZE, interpolation=cv2.INTER_CUBIC) for number in chosen)
    return [cv2.cvtColor(frame, cv2.COLOR_BGR2RGB) for frame in sized]


def ferkit_detect(min_face: int) -> Detect:
    detector = FaceDetector(min_face=min_face, runtime="openvino" if "--openvino" in sys.argv else "torch")
    return lambda images: [Shown(found.boxes, found.landmarks) for found in detector.detect(images)]


def facenet_detect(min_face: int) -> Detect:
    from facenet_pytorch import MTCNN

    detector = MTCNN(keep_all=True, min_face_size=min_face)

    def one(image: Pixels) -> Shown:
        boxes, _, landmarks = detector.detect(image, landmarks=True)
        # Its boxes count pixels from 1 and end with the last pixel inside.
        return NOTHING if boxes is None else Shown(np.float32(boxes) - [1.5, 1.5, 0.5, 0.5], np.float32(landmarks))

    return lambda images: [one(image) for image in images]


def mediapipe_detect() -> Detect:
    """Its full-range model. Of its six points, four match: eyes, nose, and the mouth's centre for both corners."""
    from mediapipe.python.solutions.face_detection import FaceDetection

    detector = FaceDetection(model_selection=1, min_detection_confidence=0.5)

    def one(image: Pixels) -> Shown:
        size = np.float32([image.shape[1], image.shape[0]])
        found = [face.location_data for face in detector.process(image).detections or []]
        boxes = [
            (b.xmin, b.ymin, b.xmin + b.width, b.ymin + b.height) for b in (f.relative_bounding_box for f in found)
        ]
        points = [[(p.x, p.y) for p in face.relative_keypoints] for face in found]
        return (
            Shown(np.float32(boxes) * np.tile(size, 2), np.float32(points)[:, [0, 1, 2, 3, 3]] * size)
            if found
            else NOTHING
        )

    return lambda images: [one(image) for image in images]


def contenders(min_face: int) -> dict[str, Detect]:
    detectors = {"ferkit": ferkit_detect(min_face), "facenet-pytorch": facenet_detect(min_face)}
    with suppress(ImportError):
        detectors["mediapipe"] = mediapipe_detect()
    return detectors


def timed(detectors: dict[str, Detect], images: Sequence[Pixels], rounds: int) -> dict[str, Timing]:
    """Time the contenders in turn, so that whatever else the machine does meets all of them; one round warms up."""
    timings = {name: Timing([], []) for name in detectors}
    for detect in detectors.values():
        detect(images)
    for _ in range(rounds):
        for name, detect in detectors.items():
            wall, cpu = time.perf_counter(), time.process_time()
            detect(images)
            timings[name].wall.append(time.perf_counter() - wall)
            timings[name].cpu.append(time.process_time() - cpu)
    return timings


def iou(a: Floats, b: Floats) -> Floats:
    return box_iou(torch.from_numpy(np.float32(a)), torch.from_numpy(np.float32(b))).numpy()


def matches(found: Floats, wanted: Floats) -> list[tuple[int, int, float]]:
    """(row of found, row of wanted, IoU) of pairs at IoU >= 0.5, the best overlaps first, each box in one pair."""
    overlap, pairs = iou(found, wanted), []
    while overlap.size and overlap.max() >= 0.5:
        row, column = np.unravel_index(overlap.argmax(), overlap.shape)
        pairs.append((int(row), int(column), float(overlap[row, column])))
        overlap[row], overlap[:, column] = 0, 0
    return pairs


def accuracy(found: Sequence[Shown], pictures: Sequence[Picture]) -> dict[str, float]:
    """Recall, precision and landmark error on the annotated pictures; nothing where none is."""
    looked_at = [
        (one, picture.truth) for one, picture in zip(found, pictures, strict=True) if picture.truth is not None
    ]
    if not looked_at:
        return {}
    pairs = [matches(one.boxes, truth.boxes) for one, truth in looked_at]
    hits, wanted = sum(map(len, pairs)), sum(len(truth.boxes) for _, truth in looked_at)
    errors = [
        landmark_error(one.landmarks[row], truth.landmarks[column], truth.boxes[column])
        for (one, truth), some in zip(looked_at, pairs, strict=True)
        for row, column, _ in some
    ]
    boxes = sum(len(one.boxes) for one, _ in looked_at)
    return {"recall": hits / wanted, "precision": hits / boxes, "landmark error": statistics.median(errors)}


def landmark_error(points: Floats, truth: Floats, box: Floats) -> float:
    side = np.sqrt(np.prod(box[2:] - box[:2]))
    return float(np.linalg.norm(points - truth, axis=1).mean() / side)


def agreement(found: Sequence[Shown], theirs: Sequence[Shown]) -> dict[str, float]:
    """How well the boxes are those of facenet-pytorch, over the faces that both find."""
    pairs = [shared for a, b in zip(found, theirs, strict=True) for *_, shared in matches(a.boxes, b.boxes)]
    return {"faces in common": len(pairs), "median IoU with facenet-pytorch": statistics.median(pairs)} if pairs else {}


def compare(pictures: Sequence[Picture], min_face: int, rounds: int) -> dict[str, object]:
    """Measure the detectors in this one run."""
    cv2.setNumThreads(torch.get_num_threads())
    images = [picture.image for picture in pictures]
    detectors = contenders(min_face)
    load = os.getloadavg()[0]
    timings = timed(detectors, images, rounds)
    found = {name: detect(images) for name, detect in detectors.items()}
    ours = timings["ferkit"]
    rows = {
        name: speed(timing, ours, len(images))
        | {"boxes": sum(len(one.boxes) for one in found[name])}
        | accuracy(found[name], pictures)
        | agreement(found[name], found["facenet-pytorch"])
        for name, timing in timings.items()
    }
    return {
        "images": len(images),
        "megapixels": round(sum(image.size for image in images) / 3e6, 1),
        "min_face": min_face,
        "rounds": rounds,
        "load before": load,
        "detectors": rows,
    }


def speed(timing: Timing, ours: Timing, count: int) -> dict[str, float]:
    low, middle, high = statistics.quantiles(timing.wall, n=4)
    return {
        "images/s": count / middle,
        "seconds": middle,
        "seconds IQR": high - low,
        "cpu seconds": statistics.median(timing.cpu),
        "ferkit is faster by": statistics.median(b / a for a, b in zip(ours.wall, timing.wall, strict=True)),
        "and in CPU time by": statistics.median(b / a for a, b in zip(ours.cpu, timing.cpu, strict=True)),
    }


def measure() -> dict[str, object]:
    large = frames()
    return {
        "machine": machine(),
        "workloads": {
            "photos": compare(photos(), min_face=20, rounds=7),
            "1080p frames": compare(large, min_face=20, rounds=3),
            "1080p frames, faces from 40 px": compare(large, min_face=40, rounds=3),
        },
    }


def machine() -> dict[str, object]:
    packages = {}
    for name in ("torch", "torchvision", "facenet-pytorch", "mediapipe", "numpy"):
        with suppress(PackageNotFoundError):
            packages[name] = version(name)
    cores = {"cpu": platform.machine(), "cores": os.cpu_count(), "threads": torch.get_num_threads()}
    return cores | packages | {"opencv": cv2.__version__}


def table(result: dict[str, object]) -> str:
    """The result as Markdown."""
    heads = {
        "images/s": ".1f",
        "seconds": ".2f",
        "seconds IQR": ".2f",
        "cpu seconds": ".2f",
        "ferkit is faster by": ".1f",
    }
    heads |= {"and in CPU time by": ".1f", "boxes": "d", "recall": ".3f", "precision": ".3f", "landmark error": ".4f"}
    heads |= {"median IoU with facenet-pytorch": ".3f"}
    lines = ["| workload | detector | " + " | ".join(heads) + " |", "|---" * (len(heads) + 2) + "|"]
    for name, workload in result["workloads"].items():
        for detector, cells in workload["detectors"].items():
            shown = (format(cells[head], form) if head in cells else "" for head, form in heads.items())
            lines.append(f"| {name} | {detector} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def profile() -> str:
    """Stage, share of CPU time, GFLOP/s and share of the machine's rates, as Markdown; one thread, all photos."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    images = [picture.image for picture in photos()]
    detector = FaceDetector(workers=1)
    detector.detect(images)
    seconds, flop = Counter(), Counter()
    with watched(detector, seconds, flop):
        started = time.process_time()
        detector.detect(images)
        total = time.process_time() - started
    product, convolution = matmul_rate(), convolution_rate()
    lines = [f"{total:.3f} s of CPU; matrix product {product:.0f}, convolution {convolution:.0f} GFLOP/s", ""]
    lines += ["| stage | share of time | GFLOP/s | of the product's | of the convolution's |", "|---|---|---|---|---|"]
    for stage, spent in seconds.most_common():
        rate = flop[stage] / spent / 1e9
        rates = f"{rate:.0f} | {rate / product:.0%} | {rate / convolution:.0%}" if rate else " | | "
        lines.append(f"| {stage} | {spent / total:.0%} | {rates} |")
    return "\n".join(lines)


@contextmanager
def watched(detector: FaceDetector, seconds: Counter[str], flop: Counter[str]) -> Iterator[None]:
    """Count CPU seconds of the stages, and the networks' floating-point operations (those of the zero channels not)."""
    per_item = {
        "propose_net": lambda x: 2 * 1822 * x.shape[2] * x.shape[3],
        "refine_net": lambda x: 2 * 1.53e6 * len(x),
        "output_net": lambda x: 2 * 12.9e6 * len(x),
    }
    nets = [(name, getattr(detector._cascade, name)) for name in per_item]
    steps = [
        ("drawing levels", atlas.Level, "draw"),
        ("packing levels", atlas, "pack"),
        ("halving", cascade, "halvings"),
    ]
    steps += [("cutting patches", cascade, "cut_patches"), ("peaks", cascade.Cascade, "_peaks")]
    steps += [("suppression", cascade, "_survivors")] + [(name, net, "forward") for name, net in nets]
    with pytest.MonkeyPatch.context() as patch:
        for stage, owner, name in steps:
            patch.setattr(owner, name, counted(getattr(owner, name), stage, seconds, flop, per_item.get(stage)))
        yield


def counted(function, stage, seconds, flop, operations):
    def run(*args):
        started = time.process_time()
        result = function(*args)
        seconds[stage] += time.process_time() - started
        flop[stage] += operations(args[0]) if operations else 0
        return result

    return run


def matmul_rate(side: int = 2048) -> float:
    a, b = torch.rand(side, side), torch.rand(side, side)
    return 2 * side**3 / least_seconds(lambda: a @ b) / 1e9


def convolution_rate() -> float:
    layer = torch.nn.Conv2d(64, 64, 3).requires_grad_(False).to(memory_format=torch.channels_last)
    x = torch.rand(1, 64, 130, 130).to(memory_format=torch.channels_last)
    return 2 * 9 * 64 * 64 * 128 * 128 / least_seconds(lambda: layer(x)) / 1e9


def least_seconds(function: Callable[[], object]) -> float:
    return min(timeit.repeat(function, number=1, repeat=10))


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="no photos here: set FERKIT_DATA to a folder of them")
def test_detection_beside_its_peers(benchmark, capsys):
    result = benchmark.pedantic(measure, rounds=1, iterations=1)
    benchmark.extra_info.update(result)
    with capsys.disabled():
        print("\n" + table(result))


if __name__ == "__main__":
    if "--profile" in sys.argv:
        print(profile())
    else:
        measured = measure()
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
        print(table(measured))
