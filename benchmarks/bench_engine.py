"""What the engine costs: `ferkit embed` of one process beside the same faces in parts on a Ray cluster of two workers.

    python benchmarks/bench_engine.py PHOTOS [--faces 2000] [--rounds 3]

PHOTOS are aligned once; their crops, each shifted by some pixels so that no two are alike, are written as PNG until
there are enough. Both ways have two cores: one process with two threads, two workers with one each. Told are seconds by
the clock and of the processors (of all processes of the way, Ray's own among them), medians of the rounds, which
alternate; and both without what starting takes, measured on eight of the crops.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import psutil

import ferkit
from ferkit.data.face_set import FaceSet

CORES = "2"


def write_crops(photos: list[str], folder: Path, count: int) -> None:
    ferkit.align(photos, folder / "faces")
    faces = FaceSet.open(folder / "faces")
    (folder / "crops").mkdir()
    for number in range(count):
        crop, step = faces.crops([number % len(faces)])[0], number // len(faces)
        shifted = np.roll(crop, (step % 8, step // 8), axis=(0, 1))
        cv2.imwrite(str(folder / "crops" / f"{number:05d}.png"), shifted[:, :, ::-1])
    (folder / "few").mkdir()
    for file in sorted((folder / "crops").iterdir())[:8]:
        shutil.copy(file, folder / "few")


def seconds(arguments: list[str], folder: Path, out: str) -> dict[str, float]:
    """Run ferkit on two cores; seconds by the clock, and of the processors by all processes that it starts."""
    shutil.rmtree(folder / out, ignore_errors=True)
    for file in folder.glob(f"{out}*"):
        file.unlink()
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1" if "ray" in arguments else CORES,
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    command = [sys.executable, "-m", "ferkit", "embed", *arguments, "-o", str(folder / out), "--aligned"]
    began, used = time.perf_counter(), {}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            running = psutil.Process(process.pid)
            for each in [running, *running.children(recursive=True)]:
                try:
                    times = each.cpu_times()
                    used[each.pid, each.create_time()] = times.user + times.system
                except psutil.Error:
                    continue
            time.sleep(0.1)
        if process.returncode:
            raise SystemExit(process.stderr.read().decode())
    return {"wall_s": time.perf_counter() - began, "cpu_s": sum(used.values())}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--faces", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_crops(given.photos, folder, given.faces)
        engine = ["--parts", "8", "--engine", "ray", "--processes", CORES]
        ways = {"one process": ("crops", [], "one.npy"), "engine": ("crops", engine, "parts")}
        ways |= {"one process, 8 faces": ("few", [], "one.npy"), "engine, 8 faces": ("few", engine, "parts")}
        rounds: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        for _ in range(given.rounds):
            for way, (source, options, out) in ways.items():
                rounds[way].append(seconds([str(folder / source), *options], folder, out))
        medians = {
            way: {unit: statistics.median(one[unit] for one in all_of) for unit in ("wall_s", "cpu_s")}
            for way, all_of in rounds.items()
        }
        for way, figures in medians.items():
            print(way, json.dumps({unit: round(value, 2) for unit, value in figures.items()}))
        for unit in ("wall_s", "cpu_s"):
            one, many, one_start, many_start = (medians[way][unit] for way in ways)
            print(
                f"engine / one process, {unit}: {many / one:.3f}; without starting: "
                f"{(many - many_start) / (one - one_start):.3f}"
            )


if __name__ == "__main__":
    main()
