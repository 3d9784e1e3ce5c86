"""What all tests share: no network, few threads, and the way to real faces."""

from __future__ import annotations

import importlib.util
import os
import resource
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

# Set before anything imports the libraries that read them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ.pop("FERKIT_MODELS", None)  # a developer's own encoders
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


@pytest.fixture(scope="session")
def one_onnx():
    """Exporting a network to ONNX takes seconds: with this, it is done once for each encoder in all tests."""
    from ferkit.encoders import export

    made, make = {}, export.onnx_of

    def onnx_of(encoder, side):
        if (encoder.sha256, side) not in made:
            made[encoder.sha256, side] = make(encoder, side)
        return made[encoder.sha256, side]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "onnx_of", onnx_of)
        yield


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


@pytest.fixture(scope="session")
def hub_servers():
    """The two servers behind every `hub`."""
    import huggingface_hub

    spec = importlib.util.spec_from_file_location("hub_server", Path(__file__).with_name("hub_server.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules["hub_server"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    with module.Servers() as servers:
        yield servers
        huggingface_hub.close_session()


@pytest.fixture
def hub(hub_servers, tmp_path, monkeypatch):
    """An empty hub on loopback with which the real client works; its cache and token are this test's own."""
    from huggingface_hub import constants

    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    for module in ("huggingface_hub.utils._http", "huggingface_hub.file_download"):  # they wait before they try again
        monkeypatch.setattr(f"{module}.time", SimpleNamespace(sleep=lambda _: None))
    hub, home = hub_servers.empty_hub(), tmp_path / "hf-home"
    settings = {
        "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_OFFLINE": False,
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_ASSETS_CACHE": str(home / "assets"),
        "HF_TOKEN_PATH": str(home / "token"),
        "HF_HUB_DISABLE_XET": True,  # its uploads go through a compiled client to a protocol of their own
    }
    for name, value in settings.items():
        monkeypatch.setattr(constants, name, value)
    return hub


@pytest.fixture(scope="session")
def jacobian_determinant():
    """(B, h, w, 2) grids -> (B, h - 1, w - 1) determinants of their forward differences, 1 for an identity grid."""
    import torch

    def determinant(grid):
        across = (grid[:, :-1, 1:] - grid[:, :-1, :-1]) * (grid.shape[2] / 2)
        down = (grid[:, 1:, :-1] - grid[:, :-1, :-1]) * (grid.shape[1] / 2)
        return across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]

    line = (torch.arange(16) * 2 + 1) / 16 - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    torch.testing.assert_close(determinant(torch.stack([x, y], -1)[None]), torch.ones(1, 15, 15))
    return determinant
