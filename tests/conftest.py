"""What all tests share: no network, few threads, and the way to real faces."""

from __future__ import annotations

import os
import resource
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# Set before anything imports the libraries that read them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ.setdefault("MPLBACKEND", "Agg")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Every worker would start as many threads as there are cores, and they would fight for them.
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[variable] = "1"


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real faces: $FERKIT_DATA, or shared/data beside the repository."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("FERKIT_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no real faces here: set FERKIT_DATA to a folder of them ({folder} is absent)")
    return folder


@pytest.fixture(scope="session")
def portraits(tmp_path_factory) -> dict[str, Path]:
    """Photos that the installed packages carry: one face each, and both side by side (astronaut left)."""
    from matplotlib.cbook import get_sample_data

    data = pytest.importorskip("skimage.data")
    folder = tmp_path_factory.mktemp("portraits")
    hopper = np.asarray(Image.open(get_sample_data("grace_hopper.jpg", asfileobj=False)).convert("RGB"))
    astronaut = data.astronaut()
    both = np.concatenate([astronaut, hopper[:512]], axis=1)
    paths = {}
    for name, picture in {"hopper": hopper, "astronaut": astronaut, "both": both}.items():
        paths[name] = folder / f"{name}.png"
        Image.fromarray(picture).save(paths[name])
    return paths


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory) -> Path:
    """A run folder with a small untrained encoder, as `ferkit pretrain` leaves one."""
    from ferkit.encoders.encoder import random_encoder, save_encoder

    encoder = random_encoder("resnet18", input_size=32, seed=0)
    folder = tmp_path_factory.mktemp("runs") / "untrained"
    folder.mkdir()
    save_encoder(folder, encoder.backbone.state_dict(), encoder.entry)
    return folder


@pytest.fixture
def file_size_limit():
    """A context manager that caps how large files may grow: real short writes, without a full disk."""

    @contextmanager
    def limited(size):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:  # before pytest goes on, whose own log may be longer
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited
