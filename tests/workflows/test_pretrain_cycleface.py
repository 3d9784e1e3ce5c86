import numpy as np
import pytest
from safetensors.torch import load_file

from ferkit.encoders.encoder import load_encoder
from ferkit.errors import InputError
from ferkit.workflows.pretrain import pretrain
from samples import noise

SMALL = {"stem": "learned", "perceptual": 0, "channels": 8, "blocks": 1, "identity_blocks": 1, "monitor.sheet": 3}
QUICK = {"method": "cycleface", "batch_size": 4, "epochs": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def clips(write_face_set, tmp_path_factory):
    """Two clips of four faces, and a face of none."""
    clip = ["first.mp4"] * 4 + ["second.mp4"] * 4 + [None]
    known = {"clip": lambda row: clip[row], "time_s": lambda row: float(row) if clip[row] else None}
    return write_face_set(tmp_path_factory.mktemp("clips") / "faces", noise(9), **known).path


@pytest.fixture(scope="module")
def run(clips):
    pretrain([clips], clips.parent / "run", settings=SMALL, **QUICK)
    return clips.parent / "run"


def test_a_run_leaves_the_code_and_the_map_as_encoders(run):
    crops = noise(3)
    for encoder, arch, dim in (
        (load_encoder(run, device="cpu"), "cycleface", 256),
        (load_encoder(run / "map", device="cpu"), "cycleface-map", 7 * 7 * 128),
    ):
        assert (encoder.entry.arch, encoder.dim) == (arch, dim)
        np.testing.assert_allclose(np.linalg.norm(encoder.embed(crops), axis=1), 1, rtol=1e-5)
        assert encoder.center.abs().max() > 0


def test_identity_builds_upon_the_run_and_leaves_its_networks_alone(run, clips):
    second = {**SMALL, "stage": "identity", "expression": str(run)}
    pretrain([clips], clips.parent / "identity", settings=second, **QUICK)
    before, after = (
        load_file(next((folder / "checkpoints").glob("step-*")) / "method.safetensors")
        for folder in (run, clips.parent / "identity")
    )
    assert all(
        np.array_equal(value.numpy(), after[name.replace("backbone.", "expression.", 1)].numpy())
        for name, value in before.items()
    )
    assert load_encoder(clips.parent / "identity", device="cpu").dim == 256


def test_another_backbone_is_refused_before_anything_is_written(clips, tmp_path):
    with pytest.raises(InputError, match="cycleface, and no resnet18"):
        pretrain([clips], tmp_path / "run", backbone="resnet18", settings=SMALL, **QUICK)
    assert not (tmp_path / "run").exists()
