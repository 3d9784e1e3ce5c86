"""What all tests share: no network, few threads, and the way to real faces."""

from __future__ import annotations

import os
import resource
import shutil
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import fsspec
import numpy as np
import pytest
from hypothesis import settings
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

# Wall-clock time says nothing on a loaded machine.
settings.register_profile("ferkit", deadline=None)
settings.load_profile("ferkit")


@pytest.fixture(scope="module")
def instant_disk():
    """Nothing waits until data has reached the disk."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture
def store():
    """Files of fsspec in memory, none at first."""
    files = fsspec.filesystem("memory")
    files.store.clear()
    yield files
    files.store.clear()


@pytest.fixture
def bucket(monkeypatch):
    """An empty bucket of an S3 server on this machine, and the files of fsspec that reach it."""
    server_module, s3fs = pytest.importorskip("moto.server"), pytest.importorskip("s3fs")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    about = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    for name, value in {**about, "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem()
    files.mkdir("faces")
    yield files
    files.rm("faces", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


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
    from samples import save_run

    return save_run(tmp_path_factory.mktemp("runs") / "untrained", "resnet18")


@pytest.fixture(scope="session")
def headed_run(run_folder, tmp_path_factory) -> Path:
    """The run folder of `run_folder`, with a head of three classes and a curve that crosses .5 at the cosine .5."""
    import yaml

    from ferkit.encoders.expression_head import ExpressionHead

    folder = shutil.copytree(run_folder, tmp_path_factory.mktemp("runs") / "headed")
    entry = yaml.safe_load((folder / "encoder.yaml").read_text())
    prototypes = np.linalg.qr(np.random.default_rng(0).normal(size=(512, 3)))[0].T.astype(np.float32)
    head = ExpressionHead(
        entry["sha256"], ("neutral", "happiness", "surprise"), prototypes, 9 * prototypes, np.zeros(3), (10.0, -5.0)
    )
    sha256 = head.save(folder / "head.safetensors")
    size = (folder / "head.safetensors").stat().st_size
    entry["head"] = {"file": "head.safetensors", "sha256": sha256, "bytes": size, "data": "none: random directions"}
    (folder / "encoder.yaml").write_text(yaml.safe_dump(entry))
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

    from hub_server import Servers

    with Servers() as servers:
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


class Listener:
    """A `Progress` that remembers what it was told, and may stop the job after some steps."""

    def __init__(self, stop_after=None):
        self.said = []
        self.started = []
        self.steps = 0
        self._stop_after = stop_after

    def start(self, task, total, done=0, unit=""):
        self.started.append((task, total, done))

    def advance(self, steps=1, note=""):
        self.steps += steps
        if self._stop_after is not None and self.steps >= self._stop_after:
            raise KeyboardInterrupt

    def say(self, message):
        self.said.append(message)


@pytest.fixture(scope="session")
def accelerator():
    """A stand-in for Apple's GPUs: notes all float64, and each padding of grid_sample but zeros, in its block."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Lacking(TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.refused = set()

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            tensors = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
            if any(tensor.dtype == torch.float64 for tensor in tensors):
                self.refused.add(f"float64 of {function}")
            if "grid_sampler_2d" in str(function) and "backward" not in str(function) and args[3] != 0:
                self.refused.add(f"padding {args[3]} of {function}")
            return result

    return Lacking


@pytest.fixture
def listener():
    return Listener


@pytest.fixture
def noise_crops():
    """(n, 128, 128, 3) different pictures."""
    return lambda n: np.random.default_rng(n).integers(0, 256, (n, 128, 128, 3), np.uint8)


@pytest.fixture
def crop_folder(tmp_path, noise_crops):
    """A folder of n face crops of 128 px, kept without loss."""

    def make(n, name="crops", suffix="png"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        for number, crop in enumerate(noise_crops(n)):
            Image.fromarray(crop).save(folder / f"{number}.{suffix}", compress_level=1)
        return folder

    return make


@pytest.fixture
def replace_unseen():
    """Replace a file by another's bytes, in its place and under its size and time, as copying tools do."""

    def replace(path, other):
        before = path.stat()
        path.write_bytes(other.read_bytes())
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert path.stat().st_size == before.st_size

    return replace


@pytest.fixture(scope="session")
def write_face_set():
    """Write crops as a face set at a path; ``known`` are what is known of the faces, as functions of the row."""
    from ferkit.data.face_set import FaceSet, FaceSetWriter
    from samples import face

    def write(path, crops, template="ferkit-128", **known):
        faces = [
            face(crop=crop, **{"source": f"/photos/{row}.jpg"} | {name: of(row) for name, of in known.items()})
            for row, crop in enumerate(crops)
        ]
        with FaceSetWriter(path, template, crops.shape[1], fingerprint=path.name, overwrite=True) as writer:
            writer.append(crops, faces, pictures_done=len(crops))
        return FaceSet.open(path)

    return write


@pytest.fixture
def make_face_set(write_face_set, tmp_path):
    """Write crops as a face set by its name, see `write_face_set`."""
    return lambda crops, name="faces", template="ferkit-128", **known: write_face_set(
        tmp_path / name, crops, template, **known
    )


EXPRESSIONS = ("anger", "happiness", "neutral")


@pytest.fixture
def planted():
    """Make faces of `people` persons, `shots` of each of three expressions; vectors hold as much of either as asked."""

    def make(people=12, shots=2, *, expression=0.0, identity=0.0, noise=0.0, dim=32, seed=0):
        random = np.random.default_rng(seed)
        faces, looks = random.normal(size=(people, dim)), random.normal(size=(3, dim))
        who = np.repeat(np.arange(people), 3 * shots)
        what = np.tile(np.repeat(np.arange(3), shots), people)
        vectors = identity * faces[who] + expression * looks[what] + noise * random.normal(size=(len(who), dim))
        return vectors, [EXPRESSIONS[number] for number in what], [f"person {number}" for number in who]

    return make
