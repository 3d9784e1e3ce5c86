import numpy as np
import pytest
from PIL import Image

from ferkit.data.face_set import FaceSet, FaceSetWriter
from ferkit.data.faces import Face, crop_sha256


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

    def make(n, name="crops"):
        folder = tmp_path / name
        folder.mkdir()
        for number, crop in enumerate(noise_crops(n)):
            Image.fromarray(crop).save(folder / f"{number}.png", compress_level=1)
        return folder

    return make


@pytest.fixture
def make_face_set(tmp_path):
    """Write crops as a face set; ``known`` may give identities, labels and sources."""

    def make(crops, name="faces", template="ferkit-128", **known):
        rows = range(len(crops))
        faces = [
            Face(
                source=known.get("source", lambda row: f"/photos/{row}.jpg")(row),
                face=1,
                clip=None,
                identity=known.get("identity", lambda row: None)(row),
                time_s=None,
                label=known.get("label", lambda row: None)(row),
                box=None,
                landmarks=None,
                score=None,
                sha256=crop_sha256(crops[row]),
                size=known.get("size", lambda row: None)(row),
            )
            for row in rows
        ]
        with FaceSetWriter(tmp_path / name, template, 128, fingerprint=name, overwrite=True) as writer:
            writer.append(crops, faces, pictures_done=len(crops))
        return FaceSet.open(tmp_path / name)

    return make
