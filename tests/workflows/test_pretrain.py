import csv
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors.torch import load_file

from ferkit.encoders.encoder import load_encoder
from ferkit.errors import (
    BusyError,
    InputError,
    OutputError,
    TrainingError,
    UnknownEncoderError,
    UnknownNameError,
)
from ferkit.locks import output_lock
from ferkit.workflows.pretrain import pretrain
from samples import contents

SMALL = {"views.size": 32, "hidden": 32, "log_steps": 1, "checkpoint_steps": 2}
QUICK = {"backbone": "test_resnet", "batch_size": 4, "epochs": 2, "settings": SMALL, "device": "cpu"}


@pytest.fixture
def noise_set(make_face_set):
    """Write a face set of noise."""

    def make(count, name, channels=3, **known):
        pixels = np.random.default_rng(0).integers(0, 256, (count, 128, 128, channels), dtype=np.uint8)
        return make_face_set(np.broadcast_to(pixels, (count, 128, 128, 3)), name, **known).path

    return make


@pytest.fixture
def faces(noise_set):
    return noise_set(13, "faces")


@pytest.fixture
def labelled(noise_set):
    """Three kinds of face of 20 people."""
    return noise_set(40, "labelled", label=lambda row: "abc"[row % 3], identity=lambda row: f"person {row // 2}")


@pytest.mark.parametrize(
    ("method", "more"),
    [("contrawarping", {"base": "simclr"}), ("byol", {}), ("mocov2", {"queue": 16})],
)
def test_every_method_leaves_an_encoder_that_loads(faces, tmp_path, method, more):
    settings = {
        key: value for key, value in SMALL.items() if key != "hidden" or method not in ("simclr", "mocov2")
    } | more
    result = pretrain([faces], tmp_path / "run", method=method, **QUICK | {"settings": settings})
    assert result.steps == 6
    encoder = load_encoder(tmp_path / "run", device="cpu")
    assert encoder.entry.trained_on.method == method
    assert encoder.entry.trained_on.data == "the faces of faces"
    assert encoder.size == 32
    crops = np.random.default_rng(1).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)
    np.testing.assert_allclose(np.linalg.norm(encoder.embed(crops), axis=1), 1, rtol=1e-5)
    assert encoder.center.abs().max() > 0


COMMAND = [
    *(sys.executable, "-m", "ferkit", "pretrain", "--backbone", "test_resnet", "--batch-size", "4", "--epochs", "12"),
    *("--set", "views.size=32", "--set", "hidden=32", "--set", "checkpoint_steps=2", "--set", "log_steps=1"),
    *("--device", "cpu", "--set", "monitor.every=0"),
]


def test_killed_and_resumed_ends_with_the_same_weights(faces, tmp_path):
    quick = QUICK | {"epochs": 12, "settings": SMALL | {"monitor.every": 0}}
    pretrain([faces], tmp_path / "whole", **quick)
    broken = tmp_path / "broken"
    with subprocess.Popen([*COMMAND, str(faces), "-o", broken], stderr=subprocess.PIPE) as process:
        while not list(broken.glob("checkpoints/step-*")):
            assert process.poll() is None, process.stderr.read().decode()
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (broken / "encoder.safetensors").exists()
    pretrain([faces], broken, **quick, resume=True)
    whole = load_file(tmp_path / "whole" / "encoder.safetensors")
    resumed = load_file(broken / "encoder.safetensors")
    assert whole.keys() == resumed.keys()
    assert all(np.array_equal(whole[key].numpy(), resumed[key].numpy()) for key in whole)


def test_interrupt_is_one_line_and_keeps_the_checkpoint(faces, tmp_path):
    run = tmp_path / "run"
    with subprocess.Popen([*COMMAND, str(faces), "-o", run], stderr=subprocess.PIPE, text=True) as process:
        while not list(run.glob("checkpoints/step-*")):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        message = process.communicate()[1]
    assert process.returncode == 130
    assert "Traceback" not in message
    kept = int(sorted(run.glob("checkpoints/step-*"))[-1].name.removeprefix("step-"))
    assert f"stopped: step {kept} of 36 is kept in {run}; --resume goes on from there\ninterrupted" in message
    assert (run / "curve.png").exists()


def test_faces_without_colour_make_an_encoder_that_is_shown_none(faces, noise_set, tmp_path):
    gray = noise_set(13, "gray", channels=1)
    runs = [pretrain(source, tmp_path / f"run {source.name}", **QUICK).run for source in (faces, gray)]
    assert [load_encoder(run).entry.gray for run in runs] == [False, True]


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"method": "contrawraping"}, UnknownNameError, "contrawarping"),
        ({"settings": {"lr": "fast"}}, InputError, "lr"),
        ({"batch_size": 64}, TrainingError, "13 faces do not fill one batch of 64"),
        ({"init": "no-such-encoder"}, UnknownEncoderError, "no encoder named"),
    ],
)
def test_bad_settings_are_one_sentence(faces, tmp_path, change, error, says):
    with pytest.raises(error, match=says):
        pretrain([faces], tmp_path / "run", **QUICK | change)
    assert not (tmp_path / "run").exists()


def test_existing_run_is_left_alone_without_resume_and_by_another_recipe(faces, tmp_path):
    pretrain([faces], tmp_path / "run", **QUICK)
    before = contents(tmp_path / "run")
    with pytest.raises(OutputError, match="resume=True"):
        pretrain([faces], tmp_path / "run", **QUICK)
    with pytest.raises(TrainingError, match=r"training\.epochs was 2\.0 and is 3\.0"):
        pretrain([faces], tmp_path / "run", **QUICK | {"epochs": 3}, resume=True)
    assert contents(tmp_path / "run") == before


def test_a_run_that_was_killed_before_its_recipe_was_there_starts(faces, tmp_path):
    for name in (".recipe.partial.yaml", ".recipe.partial.yaml.lock"):
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / name).write_text("half")
    pretrain([faces], tmp_path / "run", **QUICK, resume=True)
    left = tmp_path / "run" / "checkpoints" / ".step-00000001.partial"
    left.mkdir()
    pretrain([faces], tmp_path / "run", **QUICK, resume=True)
    assert not list((tmp_path / "run").rglob(".*"))


def test_only_one_trains_into_a_run_and_a_foreign_folder_is_left_alone(faces, tmp_path):
    with output_lock(tmp_path / "run"), pytest.raises(BusyError, match="is writing"):
        pretrain([faces], tmp_path / "run", **QUICK)
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(OutputError, match="no run of ferkit"):
            pretrain([faces], tmp_path / "run", **QUICK, resume=resume)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def weights(folder):
    return (folder / "encoder.safetensors").read_bytes()


def test_the_recipe_alone_reproduces_the_run(faces, tmp_path):
    more = {"ema": 0.9, "accumulate": 2, "clip": 1.0, "optimizer": "lars", "settings.momentum": 0.9, "base": "byol"}
    pretrain([faces], tmp_path / "x", **QUICK | {"settings": SMALL | more}, seed=5)
    pretrain([faces], tmp_path / "y", recipe=tmp_path / "x" / "recipe.yaml", device="cpu")
    assert weights(tmp_path / "y") == weights(tmp_path / "x")
    assert (tmp_path / "y" / "recipe.yaml").read_text() == (tmp_path / "x" / "recipe.yaml").read_text()
    pretrain([faces], tmp_path / "z", recipe=tmp_path / "x" / "recipe.yaml", device="cpu", seed=6)
    assert weights(tmp_path / "z") != weights(tmp_path / "x")


def test_the_recipe_keeps_which_faces_were_taken(noise_set, tmp_path, listener):
    faces = noise_set(12, "faces", size=lambda row: 30.0 + row)
    pretrain([faces], tmp_path / "x", **QUICK, min_size=35)
    progress = listener()
    result = pretrain([faces], tmp_path / "y", recipe=tmp_path / "x" / "recipe.yaml", device="cpu", progress=progress)
    assert result.faces == 7
    assert weights(tmp_path / "y") == weights(tmp_path / "x")
    assert not any("not the faces" in said for said in progress.said)
    pretrain(
        [faces], tmp_path / "z", recipe=tmp_path / "x" / "recipe.yaml", device="cpu", min_size=34, progress=progress
    )
    assert any("not the faces" in said for said in progress.said)


def test_monitor_writes_figures_sheets_and_the_best_encoder(faces, labelled, tmp_path):
    settings = SMALL | {"monitor.every": 1, "monitor.sheet": 3, "monitor.neighbours": 5}
    result = pretrain([faces], tmp_path / "run", **QUICK | {"settings": settings}, monitor=labelled)
    with (tmp_path / "run" / "monitor.csv").open() as file:
        looks = list(csv.DictReader(file))
    assert [look["step"] for look in looks] == ["3", "6"]
    assert all(0 <= float(look["knn"]) <= 1 and 0 <= float(look["spread"]) <= 1 for look in looks)
    assert all(0 <= float(look["alignment"]) <= 4 and -8 <= float(look["uniformity"]) <= 0 for look in looks)
    sheets = sorted((tmp_path / "run" / "sheets").iterdir())
    assert [sheet.name for sheet in sheets] == ["sheet-00000003.png", "sheet-00000006.png"]
    with Image.open(sheets[0]) as sheet:  # the crop, two views and a warped one of three faces
        assert sheet.size == (4 * 32, 3 * 32)
    best = max(looks, key=lambda look: float(look["knn"]))
    assert result.best == tmp_path / "run" / "best"
    assert load_encoder(result.best, device="cpu").entry.trained_on.steps == int(best["step"])


def test_supervised_learns_labels_and_says_so(labelled, tmp_path):
    quick = QUICK | {"settings": {key: value for key, value in SMALL.items() if key != "hidden"}}
    pretrain([labelled], tmp_path / "run", method="supervised", **quick)
    assert load_encoder(tmp_path / "run", device="cpu").entry.supervision == "supervised"
    assert yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())["settings"]["classes"] == ["a", "b", "c"]
    # Its own faces cannot show how well it tells labels.
    with pytest.raises(InputError, match="other faces than its own"):
        pretrain([labelled], tmp_path / "other", method="supervised", **quick, monitor=labelled)


def test_features_that_collapse_are_told(faces, tmp_path, listener):
    progress = listener()
    settings = SMALL | {"monitor.every": 1, "monitor.collapse": 1.0, "monitor.sheet": 0}
    pretrain([faces], tmp_path / "run", **QUICK | {"settings": settings}, progress=progress)
    assert any("all but collapsed" in said for said in progress.said)
    assert not (tmp_path / "run" / "sheets").exists()
