"""Views a second on one core: ferkit's batched views against lightly's BYOL transform, at 112 px, from 128 px crops.

    pytest benchmarks/bench_views.py          both in one run, with pytest-benchmark's table
    python benchmarks/bench_views.py          the ratio, as JSON

Both crop, flip, jitter, gray, blur and normalise. lightly works on PIL images one by one, as its DataLoader workers do;
ferkit on a batch of 64 uint8 crops, the conversion to float included. Time is CPU time of a single thread.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from collections.abc import Callable

import lightly
import numpy as np
import pytest
import torch
from lightly.transforms.byol_transform import BYOLTransform, BYOLView1Transform, BYOLView2Transform
from matplotlib.cbook import get_sample_data
from PIL import Image

from ferkit.methods.views import ViewMaker, ViewSettings, WarpSettings, draw_warps, to_float

BATCH, SIZE = 64, 112


def portrait() -> Image.Image:
    """A face of 128 px, so that both sides handle real pixels."""
    photo = Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False))
    return photo.crop((120, 60, 400, 340)).resize((128, 128))


def lightly_batch() -> Callable[[], None]:
    """Two views of each of `BATCH` images by lightly."""
    first, second = BYOLView1Transform(input_size=SIZE), BYOLView2Transform(input_size=SIZE)
    transform = BYOLTransform(view_1_transform=first, view_2_transform=second)
    image = portrait()

    def run() -> None:
        for _ in range(BATCH):
            transform(image)

    return run


def ferkit_batch(*, warped: bool) -> Callable[[], None]:
    """Two views of each of `BATCH` crops by ferkit, behind local warps or not."""
    crops = torch.from_numpy(np.stack([np.asarray(portrait())] * BATCH))
    make_view, generator = ViewMaker(ViewSettings(size=SIZE)), torch.Generator().manual_seed(0)

    def run() -> None:
        faces = to_float(crops)
        for _ in range(2):
            make_view(faces, generator, draw_warps(BATCH, WarpSettings(), generator) if warped else None)

    return run


CONTENDERS = {
    "lightly": lightly_batch,
    "ferkit": lambda: ferkit_batch(warped=False),
    "ferkit-warped": lambda: ferkit_batch(warped=True),
}


@pytest.mark.parametrize("name", CONTENDERS)
def test_views(benchmark, name):
    torch.set_num_threads(1)
    benchmark.group = f"{2 * BATCH} views at {SIZE} px, one thread"
    benchmark(CONTENDERS[name]())


def measure(rounds: int = 15) -> dict[str, object]:
    """Run the contenders in turn, round by round; report views per CPU second and the ratios' median and quartiles."""
    torch.set_num_threads(1)
    runs = {name: make() for name, make in CONTENDERS.items()}
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            start = time.process_time()
            run()
            seconds[name].append(time.process_time() - start)
    ratios = {
        name: [theirs / ours for theirs, ours in zip(seconds["lightly"], seconds[name], strict=True)]
        for name in ("ferkit", "ferkit-warped")
    }
    return {
        "views_per_second_per_core": {name: round(2 * BATCH / statistics.median(s)) for name, s in seconds.items()},
        "ratio_to_lightly": {name: [round(q, 2) for q in statistics.quantiles(r, n=4)] for name, r in ratios.items()},
        "versions": {"torch": torch.__version__, "lightly": lightly.__version__, "python": platform.python_version()},
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))
