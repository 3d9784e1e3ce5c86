"""Views a second on one core: ferkit's batched views against lightly's and kornia's, at 112 px, from 128 px crops.

    pytest benchmarks/bench_views.py          all in one run, with pytest-benchmark's table
    python benchmarks/bench_views.py          the ratios, as JSON

All crop, flip, jitter, gray, blur and normalise; ferkit turns the face as well. lightly works on PIL images one by one,
as its DataLoader workers do; kornia and ferkit on a batch of 64 uint8 crops, kornia's conversion to float included.
Time is CPU time of a single thread.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable

import cv2
import kornia
import kornia.augmentation as K
import lightly
import numpy as np
import pytest
import torch
from lightly.transforms.byol_transform import BYOLTransform, BYOLView1Transform, BYOLView2Transform
from matplotlib.cbook import get_sample_data
from PIL import Image

from ferkit.methods.views import ViewMaker, ViewSettings, to_float
from ferkit.methods.warps import KINDS, Kind, WarpSettings, draw_warps

BATCH, SIZE = 64, 112


def portrait() -> Image.Image:
    """A face of 128 px, so that all sides handle real pixels."""
    photo = Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False))
    return photo.crop((120, 60, 400, 340)).resize((128, 128))


def portraits() -> torch.Tensor:
    """(BATCH, 128, 128, 3) uint8."""
    return torch.from_numpy(np.stack([np.asarray(portrait())] * BATCH))


def lightly_batch() -> Callable[[], None]:
    """Two views of each of `BATCH` images by lightly."""
    first, second = BYOLView1Transform(input_size=SIZE), BYOLView2Transform(input_size=SIZE)
    transform = BYOLTransform(view_1_transform=first, view_2_transform=second)
    image = portrait()

    def run() -> None:
        for _ in range(BATCH):
            transform(image)

    return run


def kornia_batch() -> Callable[[], None]:
    """Two views of each of `BATCH` crops by kornia, with the ranges of ferkit's settings."""
    crops, s = portraits(), ViewSettings(size=SIZE)
    # Lightly in the same order; the kernel covers three of the largest sigma, as ferkit's does.
    augment = K.AugmentationSequential(
        K.RandomResizedCrop((SIZE, SIZE), scale=(s.scale[0] ** 2, s.scale[1] ** 2), ratio=s.aspect),
        K.RandomHorizontalFlip(p=s.flip),
        K.ColorJitter(s.brightness, s.contrast, s.saturation, s.hue, p=s.jitter),
        K.RandomGrayscale(p=s.gray),
        K.RandomGaussianBlur((11, 11), s.sigma, p=s.blur),
        K.Normalize(mean=s.mean, std=s.std),
    )

    def run() -> None:
        faces = to_float(crops)
        for _ in range(2):
            augment(faces)

    return run


def ferkit_batch(kind: Kind | None = None) -> Callable[[], None]:
    """Two views of each of `BATCH` crops by ferkit, behind local warps or none; drawing the warps is counted."""
    crops, make_view = portraits(), ViewMaker(ViewSettings(size=SIZE))
    generator = torch.Generator().manual_seed(0)

    def run() -> None:
        for _ in range(2):
            make_view(crops, generator, draw_warps(BATCH, WarpSettings(kind=kind), generator) if kind else None)

    return run


CONTENDERS: dict[str, Callable[[], Callable[[], None]]] = {
    "lightly": lightly_batch,
    "kornia": kornia_batch,
    "ferkit": ferkit_batch,
    **{f"ferkit-{kind}": lambda kind=kind: ferkit_batch(kind) for kind in KINDS},
}


@pytest.mark.parametrize("name", CONTENDERS)
def test_views(benchmark, name):
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    benchmark.group = f"{2 * BATCH} views at {SIZE} px, one thread"
    benchmark(CONTENDERS[name]())


def measure(rounds: int = 15) -> dict[str, object]:
    """Run the contenders in turn, round by round; report views per CPU second and the ratios' quartiles."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    runs = {name: make() for name, make in CONTENDERS.items()}
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    return {
        "views_per_second_per_core": {name: round(2 * BATCH / statistics.median(s)) for name, s in seconds.items()},
        **{f"ratio_to_{peer}": ratios(seconds, peer) for peer in ("lightly", "kornia")},
        "versions": {
            **{library.__name__: library.__version__ for library in (torch, lightly, kornia, cv2)},
            "python": platform.python_version(),
        },
    }


def ratios(seconds: dict[str, list[float]], peer: str) -> dict[str, list[float]]:
    """Quartiles of the peer's time over ferkit's, of rounds that ran next to each other."""
    return {
        name: [
            round(q, 2)
            for q in statistics.quantiles(
                [theirs / ours for theirs, ours in zip(seconds[peer], mine, strict=True)], n=4
            )
        ]
        for name, mine in seconds.items()
        if name.startswith("ferkit")
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
