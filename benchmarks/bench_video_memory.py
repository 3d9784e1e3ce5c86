"""Peak memory of ``ferkit embed`` on videos of 1,000, 10,000 and 20,000 frames, every one of them looked at.

    python benchmarks/bench_video_memory.py [--frames 1000 10000 20000]

A portrait of the demo wanders about frames of 192 px that carry fresh noise, so that none is like the one before. The
encoder is a small untrained one: what it holds does not depend on the frames. Peaks are of processes of their own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np

from ferkit.encoders.encoder import random_encoder, save_encoder

PORTRAIT = Path(__file__).parents[1] / "src" / "ferkit" / "portraits" / "joe-biden.png"
SIDE, FACE, FPS = 192, 150, 25


def write_video(path: Path, frames: int) -> None:
    """Write a video of ``frames`` frames."""
    random, face = np.random.default_rng(0), cv2.resize(cv2.imread(str(PORTRAIT)), (FACE, FACE))
    noise = random.integers(-3, 4, (2 * SIDE, 2 * SIDE, 3), np.int16)
    out = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), FPS, (SIDE, SIDE))
    for number in range(frames):
        canvas, room = np.full((SIDE, SIDE, 3), 96, np.int16), SIDE - FACE
        left, top = (int(room * (1 + np.sin(number / pace)) / 2) for pace in (31, 47))
        canvas[top : top + FACE, left : left + FACE] = face
        down, right = random.integers(SIDE, size=2)
        canvas += noise[down : down + SIDE, right : right + SIDE]
        out.write(canvas.clip(0, 255).astype(np.uint8))
    out.release()


def peak_megabytes(command: list[str]) -> float:
    """Run a command to its end and return its peak of resident memory."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[1000, 10_000, 20_000])
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        encoder = random_encoder("resnet18", input_size=32, seed=0)
        (home / "run").mkdir()
        save_encoder(home / "run", encoder.backbone.state_dict(), encoder.entry)
        first = 0.0
        for frames in parser.parse_args().frames:
            video = home / f"{frames}.mp4"
            write_video(video, frames)
            embed = [sys.executable, "-m", "ferkit", "embed", str(video), "-o", str(home / f"{frames}.npy")]
            peak = peak_megabytes([*embed, "--fps", "0", "--min-face", "80", "--encoder", str(home / "run")])
            first = first or peak
            print(f"{frames:>7,} frames: {peak:6.0f} MB, {peak / first:.3f} of the first", flush=True)


if __name__ == "__main__":
    main()
