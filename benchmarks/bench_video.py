"""Faces of videos: followed between searches, searched in every frame, and by facenet_pytorch.MTCNN frame by frame.

    OMP_NUM_THREADS=2 python benchmarks/bench_video.py        a table, and benchmarks/results/video.json

Clips of ``$FERKIT_DATA/video`` (GRID: one speaker each; mixed: a face, none, one that goes or comes), at their own size
and enlarged to 1080p, smallest face 20 px. The three take turns on short pieces of each clip, so that whatever else the
machine does meets all of them; where it is busy, CPU times on one thread say more than the clock's. Frames are decoded
before the clock starts. A face of the full search counts as found where one is followed with an IoU of at least .5; the
distance of its landmarks is a mean over the five points, in shares of the box's side.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from ferkit.faces.detect import FaceDetector
from ferkit.faces.follow import FrameFinder
from ferkit.ops.boxes import box_iou

DATA = Path(os.environ.get("FERKIT_DATA") or Path(__file__).parents[2] / "shared" / "data")
RESULT = Path(__file__).parent / "results" / "video.json"
MIN_FACE, HD = 20, (1920, 1080)

Pixels = NDArray[np.uint8]


def frames_of(path: Path, most: int, size: tuple[int, int] | None) -> tuple[list[float], list[Pixels]]:
    capture, frames = cv2.VideoCapture(str(path)), []
    fps = capture.get(cv2.CAP_PROP_FPS) or 25
    while len(frames) < most and (read := capture.read())[0]:
        frame = read[1] if size is None else cv2.resize(read[1], size, interpolation=cv2.INTER_CUBIC)
        frames.append(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
    return [number / fps for number in range(len(frames))], frames


def compared(full: list, followed: list) -> tuple[int, int, int, list[float]]:
    """Faces of the full search, those of them that were followed, followed ones beyond these, landmark distances."""
    faces = found = beyond = 0
    distances = []
    for these, those in zip(full, followed, strict=True):
        overlap = box_iou(torch.from_numpy(these.boxes), torch.from_numpy(those.boxes)).numpy()
        hit = overlap.max(axis=1, initial=0) >= 0.5
        faces, found, beyond = faces + len(these), found + int(hit.sum()), beyond + max(0, len(those) - int(hit.sum()))
        for row in np.flatnonzero(hit):
            apart = np.linalg.norm(these.landmarks[row] - those.landmarks[overlap[row].argmax()], axis=1).mean()
            distances.append(float(apart / (these.boxes[row, 2] - these.boxes[row, 0])))
    return faces, found, beyond, distances


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=64, help="of each clip")
    parser.add_argument("--clips", type=int, default=4, help="of each folder")
    parser.add_argument("--peer-frames", type=int, default=4, help="of each piece that MTCNN is given")
    parser.add_argument("--runtime", default="torch", help="torch or openvino: what computes ferkit's networks")
    asked = parser.parse_args()
    from facenet_pytorch import MTCNN

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    detector = FaceDetector(min_face=MIN_FACE, runtime=asked.runtime)
    peer = MTCNN(min_face_size=MIN_FACE, device="cpu")
    result = {}
    for name, folder, size in (("grid", "grid", None), ("mixed", "mixed", None), ("mixed 1080p", "mixed", HD)):
        piece = 32 if size is None else 11
        spent: dict[str, list[float]] = {}
        totals, distances = np.zeros(3, int), []
        for path in sorted((DATA / "video" / folder).iterdir())[: asked.clips]:
            times, frames = frames_of(path, asked.frames, size)
            finder = FrameFinder(detector)
            for start in range(0, len(frames), piece):
                part = slice(start, start + piece)
                shown, when = frames[part], times[part]
                full = timed(spent, "every frame", len(shown), detector.detect, shown)
                near = timed(spent, "followed", len(shown), finder.find, when, shown)
                few = shown[: asked.peer_frames]
                timed(spent, "facenet_pytorch.MTCNN", len(few), lambda images: [*map(peer.detect, images)], few)
                *counts, apart = compared(full, near)
                totals += counts
                distances += apart
        rates = {who: [count / clock, count / cpu] for who, (count, clock, cpu) in spent.items()}
        result[name] = {
            "frames": int(spent["followed"][0]),
            "frames a second": {who: round(rate[0], 1) for who, rate in rates.items()},
            "followed is faster by (clock, CPU time)": {
                who: [round(a / b, 1) for a, b in zip(rates["followed"], rate, strict=True)]
                for who, rate in rates.items()
                if who != "followed"
            },
            "faces": int(totals[0]),
            "found": round(totals[1] / max(totals[0], 1), 4),
            "beyond": int(totals[2]),
            "landmarks, median and 90 %": np.quantile(distances, [0.5, 0.9]).round(4).tolist(),
        }
        print(name, json.dumps(result[name], indent=1), flush=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


def timed(spent: dict[str, list[float]], who: str, frames: int, work: Callable[..., list], *given: object) -> list:
    clock, cpu = time.perf_counter(), time.process_time()
    done = work(*given)
    passed = [frames, time.perf_counter() - clock, time.process_time() - cpu]
    spent[who] = [before + now for before, now in zip(spent.get(who, [0, 0, 0]), passed, strict=True)]
    return done


if __name__ == "__main__":
    main()
