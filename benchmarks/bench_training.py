"""Where a training step's time goes, and how it compares with lightly's own BYOL example.

    python benchmarks/bench_training.py                     CPU: shares of a step, time per epoch against lightly
    python benchmarks/bench_training.py --device cuda --batch-size 256 --precision bf16 --arch resnet18 resnet50
                                                            GPU: also against the same networks on constant data

A step is one of `ferkit.training.loop.train` over a memory-mapped face set of 128 px crops. "networks" is forward, loss
and backward; everything else of a step is reading, views, optimiser, moving averages and the loop itself. Reading runs
in a thread beside it; what the loop waits for it is in "rest". Against lightly, both train BYOL with the same backbone,
heads, batch and threads, epochs taking turns; lightly reads the same faces as PNG files with as many DataLoader workers
as there are cores, and its clock starts with the first batch, when the workers are up.
"""

from __future__ import annotations

import argparse
import copy
import csv
import json
import os
import platform
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import accelerate
import numpy as np
import timm
import torch
from PIL import Image

from ferkit.data.face_set import FaceSet, FaceSetWriter
from ferkit.data.faces import Face, crop_sha256
from ferkit.encoders.backbones import build_backbone, feature_dim
from ferkit.methods import find_method
from ferkit.pretraining.training_faces import TrainingFaces
from ferkit.progress import Silent
from ferkit.training.loop import train
from ferkit.training.processes import Processes
from ferkit.training.settings import TrainSettings

HEADS = {"hidden": 1024, "projection": 256}
"""Those of lightly's example."""


def make_faces(folder: Path, count: int) -> FaceSet:
    """A face set of smooth random pictures, whose PNG files are about as large as those of faces."""
    coarse = np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), dtype=np.uint8)
    crops = np.stack([np.asarray(Image.fromarray(one).resize((128, 128), Image.Resampling.BICUBIC)) for one in coarse])
    nothing = dict.fromkeys(("clip", "identity", "time_s", "label", "box", "landmarks", "score"))
    rows = [Face(source=f"/{row}.png", face=1, sha256=crop_sha256(crops[row]), **nothing) for row in range(count)]
    with FaceSetWriter(folder / "faces", "ferkit-128", 128, fingerprint="bench") as writer:
        writer.append(crops, rows, pictures_done=count)
    (folder / "images" / "all").mkdir(parents=True)
    for row, crop in enumerate(crops):
        Image.fromarray(crop).save(folder / "images" / "all" / f"{row:06d}.png")
    return FaceSet.open(folder / "faces")


def make_method(name: str, arch: str, size: int):
    """A method with random weights, with lightly's heads where it has any."""
    kind = find_method(name)
    heads = {key: value for key, value in HEADS.items() if key in kind.settings_type.model_fields}
    backbone = build_backbone(arch, size)
    return kind(backbone, feature_dim(backbone), kind.settings_type(views={"size": size}, **heads))


def run_steps(method, faces, options, steps: int, log_steps: int) -> list[float]:
    """Train and return the seconds per step of each row of metrics.csv, the first one left out."""
    epochs = steps / (len(faces) // options.batch_size)
    settings = TrainSettings(
        epochs=epochs,
        batch_size=options.batch_size,
        optimizer="sgd",
        lr=0.06,
        precision=options.precision,
        compile=options.compile,
        log_steps=log_steps,
        checkpoint_steps=10**9,
        monitor={"every": 0},
    )
    with tempfile.TemporaryDirectory() as folder:
        train(method, faces, settings, Path(folder), Silent(), Processes(options.device))
        with (Path(folder) / "metrics.csv").open() as file:
            return [options.batch_size / float(row["images/s"]) for row in csv.DictReader(file)][1:]


def images_per_second(method, faces, options, steps: int) -> float:
    """Of the median row of metrics.csv."""
    return options.batch_size / statistics.median(run_steps(method, faces, options, steps, options.log_steps))


class Stopwatch:
    """Adds up the time spent in functions, waiting for the device around each."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, defaultdict(list)

    def sync(self) -> None:
        """Wait until the device has done what it was told."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def timed(self, part: str, function: Callable) -> Callable:
        """The function, its time booked to a part of the step."""

        def run(*args, **kwargs):
            self.sync()
            start = time.perf_counter()
            result = function(*args, **kwargs)
            self.sync()
            self.seconds[part].append(time.perf_counter() - start)
            return result

        return run


@contextmanager
def watched(method, faces, watch: Stopwatch) -> Iterator[None]:
    """Time the parts of every step of a training."""
    method.views = watch.timed("views", method.views)
    method.loss = watch.timed("forward", method.loss)
    method.after_step = watch.timed("averages", method.after_step)
    faces.batch = watch.timed("read (beside)", faces.batch)
    backward = accelerate.Accelerator.backward
    step = accelerate.optimizer.AcceleratedOptimizer.step
    with (
        mock.patch.object(
            accelerate.Accelerator, "backward", lambda self, loss: watch.timed("backward", backward)(self, loss)
        ),
        mock.patch.object(
            accelerate.optimizer.AcceleratedOptimizer, "step", lambda self: watch.timed("optimiser", step)(self)
        ),
    ):
        yield


def profile(name: str, arch: str, face_set: FaceSet, options) -> dict[str, object]:
    """Milliseconds of a mean step by part, and the share spent outside the networks."""
    method = make_method(name, arch, options.size)
    faces = TrainingFaces(face_set, method.batch_fields)
    watch = Stopwatch(torch.device(options.device))
    with watched(method, faces, watch):
        steps = run_steps(method, faces, options, options.steps, log_steps=1)
    whole = statistics.mean(steps)
    parts = {part: statistics.mean(seconds[1:]) for part, seconds in watch.seconds.items()}
    networks = parts["forward"] + parts["backward"]
    inside = sum(seconds for part, seconds in parts.items() if not part.startswith("read"))
    table = {**parts, "rest": whole - inside, "step": whole}
    return {
        "milliseconds": {part: round(1000 * seconds, 2) for part, seconds in table.items()},
        "outside_networks": round(1 - networks / whole, 4),
    }


def throughput(name: str, arch: str, face_set: FaceSet, options) -> dict[str, float]:
    """Images per second from disk, on constant views in the device's memory, and their ratio; taking turns."""
    rates: dict[str, list[float]] = {"faces": [], "constant": []}
    for _ in range(options.rounds):
        method = make_method(name, arch, options.size)
        rates["faces"].append(
            images_per_second(method, TrainingFaces(face_set, method.batch_fields), options, options.steps)
        )
        method = make_method(name, arch, options.size)
        rates["constant"].append(
            images_per_second(constant(method, options), Constant(face_set, options), options, options.steps)
        )
    ratios = [ours / most for ours, most in zip(rates["faces"], rates["constant"], strict=True)]
    return {
        "images_per_second": round(statistics.median(rates["faces"])),
        "constant_images_per_second": round(statistics.median(rates["constant"])),
        "ratio": round(statistics.median(ratios), 3),
    }


class Constant:
    """As many faces as a face set, always the same ones."""

    def __init__(self, face_set: FaceSet, options) -> None:
        self.count, self.crops = len(face_set), np.zeros((options.batch_size, 8, 8, 3), np.uint8)

    def __len__(self) -> int:
        return self.count

    def batch(self, indices, generator) -> Mapping[str, np.ndarray]:
        """The same few pixels."""
        return {"crops": self.crops[: len(indices)]}


def constant(method, options):
    """The method with views that are drawn once."""
    crops = torch.zeros(options.batch_size, 128, 128, 3, dtype=torch.uint8, device=options.device)
    template = torch.tensor(
        [[43.5, 43.5], [83.5, 43.5], [63.5, 66.3], [46.9, 89.7], [80.1, 89.7]], device=options.device
    )
    batch = {"crops": crops, "landmarks": template.expand(len(crops), 5, 2)}
    views = method.views(batch, torch.Generator().manual_seed(0))
    method.views = lambda batch, generator: views
    return method


def lightly_epoch(arch: str, images: Path, options) -> float:
    """Images per second of one epoch of lightly's BYOL example (lightly-ai/lightly, examples/pytorch/byol.py)."""
    from lightly.data import LightlyDataset
    from lightly.loss import NegativeCosineSimilarity
    from lightly.models.modules import BYOLPredictionHead, BYOLProjectionHead
    from lightly.models.utils import deactivate_requires_grad, update_momentum
    from lightly.transforms.byol_transform import BYOLTransform, BYOLView1Transform, BYOLView2Transform
    from lightly.utils.scheduler import cosine_schedule

    device = torch.device(options.device)
    backbone = build_backbone(arch, options.size)
    dim = feature_dim(backbone)
    online = torch.nn.ModuleList([backbone, BYOLProjectionHead(dim, 1024, 256), BYOLPredictionHead(256, 1024, 256)])
    online.to(device)
    target = copy.deepcopy(online[:2])
    deactivate_requires_grad(target)
    transform = BYOLTransform(
        view_1_transform=BYOLView1Transform(input_size=options.size),
        view_2_transform=BYOLView2Transform(input_size=options.size),
    )
    loader = torch.utils.data.DataLoader(
        LightlyDataset(str(images), transform=transform),
        batch_size=options.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=os.cpu_count() or 1,
    )
    criterion, optimizer = NegativeCosineSimilarity(), torch.optim.SGD(online.parameters(), lr=0.06)
    started, steps = 0.0, 0
    for number, batch in enumerate(loader):
        if number == 0:
            started = time.perf_counter()
        momentum = cosine_schedule(number, len(loader), 0.996, 1)
        for one, other in zip(online, target, strict=False):
            update_momentum(one, other, m=momentum)
        a, b = (view.to(device) for view in batch[0])
        predictions = [online[2](online[1](online[0](view))) for view in (a, b)]
        with torch.no_grad():
            targets = [target[1](target[0](view)) for view in (a, b)]
        loss = 0.5 * (criterion(predictions[0], targets[1]) + criterion(predictions[1], targets[0]))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        steps += 1
    return steps * options.batch_size / (time.perf_counter() - started)


def against_lightly(arch: str, face_set: FaceSet, images: Path, options) -> dict[str, object]:
    """Time per epoch of lightly over ours, epochs taking turns."""
    rates: dict[str, list[float]] = {"ferkit": [], "lightly": []}
    for _ in range(options.rounds):
        method = make_method("byol", arch, options.size)
        faces = TrainingFaces(face_set, method.batch_fields)
        rates["ferkit"].append(images_per_second(method, faces, options, len(faces) // options.batch_size))
        rates["lightly"].append(lightly_epoch(arch, images, options))
    ratios = [ours / theirs for ours, theirs in zip(rates["ferkit"], rates["lightly"], strict=True)]
    return {
        "images_per_second": {name: round(statistics.median(found), 1) for name, found in rates.items()},
        "epoch_time_ratio": [round(ratio, 2) for ratio in sorted(ratios)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--arch", nargs="+", default=["resnet18"])
    parser.add_argument("--methods", nargs="+", default=["byol", "contrawarping"])
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--precision", default="no")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--faces", type=int, default=512)
    parser.add_argument("--steps", type=int, default=8, help="of a profile or throughput run")
    parser.add_argument("--log-steps", type=int, default=1, help="steps between two looks at the clock")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-lightly", action="store_true")
    options = parser.parse_args()
    report: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        face_set = make_faces(Path(folder), options.faces)
        for arch in options.arch:
            for name in options.methods:
                report[f"{arch} {name}: profile"] = profile(name, arch, face_set, options)
                if options.device != "cpu":
                    report[f"{arch} {name}: throughput"] = throughput(name, arch, face_set, options)
            if not options.no_lightly:
                report[f"{arch}: against lightly"] = against_lightly(arch, face_set, Path(folder) / "images", options)
    report["settings"] = vars(options)
    report["versions"] = {
        "torch": torch.__version__,
        "timm": timm.__version__,
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if options.device.startswith("cuda") else platform.processor(),
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
