import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors.torch import load_file

from ferkit.data.face_set import FaceSetWriter
from ferkit.data.faces import Face, crop_sha256
from ferkit.encoders.encoder import load_encoder
from ferkit.errors import InputError, TrainingError
from ferkit.workflows.pretrain import pretrain

SMALL = {"stem": "learned", "perceptual": 0, "channels": 8, "blocks": 1, "identity_blocks": 1, "monitor.sheet": 3}
QUICK = {"method": "cycleface", "batch_size": 4, "epochs": 1, "device": "cpu"}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two clips of four faces, and a face of none."""
    path = tmp_path_factory.mktemp("clips") / "faces"
    pixels = np.random.default_rng(0).integers(0, 256, (9, 128, 128, 3), dtype=np.uint8)
    unknown = dict.fromkeys(("identity", "label", "box", "landmarks", "score"))
    clip = ["first.mp4"] * 4 + ["second.mp4"] * 4 + [None]
    rows = [
        Face(
            f"/videos/{row}",
            1,
            clip=clip[row],
            time_s=float(row) if clip[row] else None,
            sha256=crop_sha256(pixels[row]),
            **unknown,
        )
        for row in range(9)
    ]
    with FaceSetWriter(path, "ferkit-128", 128, fingerprint="test") as writer:
        writer.append(pixels, rows, pictures_done=9)
    return path


@pytest.fixture(scope="module")
def run(clips):
    pretrain([clips], clips.parent / "run", settings=SMALL, **QUICK)
    return clips.parent / "run"


def test_a_run_leaves_the_code_and_the_map_as_encoders(run):
    crops = np.random.default_rng(1).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)
    for encoder, arch, dim in (
        (load_encoder(run, device="cpu"), "cycleface", 256),
        (load_encoder(run / "map", device="cpu"), "cycleface-map", 7 * 7 * 128),
    ):
        assert (encoder.entry.arch, encoder.dim) == (arch, dim)
        np.testing.assert_allclose(np.linalg.norm(encoder.embed(crops), axis=1), 1, rtol=1e-5)
        assert encoder.center.abs().max() > 0


def test_the_map_has_the_weights_of_the_code(run):
    code, only = (load_file(folder / "encoder.safetensors") for folder in (run, run / "map"))
    shared = [name for name in only if name.startswith("backbone.")]
    assert shared
    assert all(np.array_equal(only[name].numpy(), code[name].numpy()) for name in shared)


def test_the_loop_begins_with_the_settings_of_the_paper(run):
    training = yaml.safe_load((run / "recipe.yaml").read_text())["training"]
    assert (training["optimizer"], training["betas"], training["lr"]) == ("adam", [0.5, 0.999], 5e-5)
    assert training["batch_size"] == 4  # as told


def test_the_look_shows_seven_pictures_of_each_face(run):
    with Image.open(next((run / "sheets").iterdir())) as sheet:
        assert sheet.size == (7 * 64, 3 * 64)


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


def test_identity_needs_the_other_run(clips, tmp_path):
    second = {**SMALL, "stage": "identity", "expression": str(tmp_path / "none")}
    with pytest.raises(TrainingError, match=r"no checkpoint of a run in .*none"):
        pretrain([clips], tmp_path / "run", settings=second, **QUICK)


def test_another_backbone_is_refused_before_anything_is_written(clips, tmp_path):
    with pytest.raises(InputError, match="a network of its own, cycleface, and no resnet18; leave backbone out"):
        pretrain([clips], tmp_path / "run", backbone="resnet18", settings=SMALL, **QUICK)
    assert not (tmp_path / "run").exists()


def test_another_method_can_learn_the_network(clips, tmp_path):
    settings = {"views.size": 64, "monitor.every": 0}
    pretrain([clips], tmp_path / "run", settings=settings, **{**QUICK, "method": "simclr", "backbone": "cycleface"})
    assert load_encoder(tmp_path / "run", device="cpu").dim == 256
