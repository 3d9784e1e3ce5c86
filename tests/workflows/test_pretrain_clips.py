"""Pre-training on frames of clips, from the command's function to the encoder."""

import pytest
import yaml
from PIL import Image

from ferkit.encoders.encoder import load_encoder
from ferkit.errors import InputError, TrainingError, UnknownEncoderError, UnknownMethodError
from ferkit.workflows.pretrain import pretrain
from samples import noise, save_run

SMALL = {"views.size": 32, "log_steps": 1, "checkpoint_steps": 2, "monitor.sheet": 2}
QUICK = {"backbone": "test_resnet", "batch_size": 4, "epochs": 1, "device": "cpu"}
MOMENTS = [("long", 0.5 * n) for n in range(9)] + [("short", 0.5 * n) for n in range(5)] + [("lone", 0.0)]


@pytest.fixture
def noise_set(make_face_set):
    """Write a face set of noise, with the clips and times of its faces."""
    return lambda moments, name: (
        make_face_set(
            noise(len(moments)), name, clip=lambda row: moments[row][0], time_s=lambda row: moments[row][1]
        ).path
    )


@pytest.fixture
def clips(noise_set):
    return noise_set(MOMENTS, "clips")


@pytest.fixture
def descriptor(tmp_path):
    return str(save_run(tmp_path / "descriptor"))


@pytest.mark.parametrize(
    ("method", "parts", "more"),
    [
        ("ssl-fer-g", None, {}),
        ("ssl-fer-c", None, {}),
        ("contrawarping", "time-aug,hard-neg,face-swap,mask-fn", {"hidden": 32}),
    ],
)
def test_parts_leave_an_encoder_and_say_what_they_learn_from(
    clips, descriptor, tmp_path, listener, method, parts, more
):
    progress = listener()
    settings = {**SMALL, "descriptor": descriptor, **more}
    result = pretrain(
        clips, tmp_path / "run", method=method, parts=parts, settings=settings, progress=progress, **QUICK
    )
    assert (result.faces, result.steps) == (14, 3)
    assert sum("14 of 15 faces are anchors, in 2 clips" in said for said in progress.said) == 1
    encoder = load_encoder(tmp_path / "run", device="cpu")
    assert encoder.entry.trained_on.method == ("contrawarping" if parts else "ssl-fer")
    assert encoder.entry.supervision == "unsupervised"
    recipe = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    assert {"time-aug", "hard-neg"} < set(recipe["settings"]["parts"])
    # The face, then views of anchor and positive, each behind it those of the hard negative; then warps of both.
    with Image.open(tmp_path / "run" / "sheets" / "sheet-00000003.png") as sheet:
        assert sheet.size == (32 * (7 if parts else 5), 32 * 2)


def test_a_preset_names_its_run_and_may_stand_in_a_recipe(clips, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text("method: ssl-fer-a\nsettings: {temperature: 0.5}\n")
    assert str(pretrain(clips, recipe="a.yaml", settings=SMALL, **QUICK).run) == "runs/ssl-fer-a"
    assert str(pretrain(clips, method="ssl-fer-b", preset="cpu", settings=SMALL, **QUICK).run) == "runs/ssl-fer-b"
    scaled = yaml.safe_load((tmp_path / "runs/ssl-fer-b/recipe.yaml").read_text())
    assert (scaled["settings"]["parts"], scaled["training"]["precision"]) == (["time-aug", "hard-neg"], "auto")
    assert scaled["settings"]["views"]["size"] == SMALL["views.size"]  # what is said wins
    saved = yaml.safe_load((tmp_path / "runs/ssl-fer-a/recipe.yaml").read_text())
    assert (saved["method"], saved["settings"]["parts"], saved["settings"]["temperature"]) == (
        "ssl-fer",
        ["time-aug"],
        0.5,
    )


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ({"method": "byol", "parts": "time-aug"}, InputError, "byol has no parts.*contrawarping or ssl-fer"),
        ({"method": "ssl-fer-h"}, UnknownMethodError, "ssl-fer-"),
        ({"method": "ssl-fer-f", "settings": {"descriptor": "nobody"}}, UnknownEncoderError, "nobody"),
        ({"method": "ssl-fer", "settings": {"windows.hard": 1.0}}, InputError, "windows .*must rise"),
        ({"method": "ssl-fer-b", "settings": {"windows.hard": 30}}, TrainingError, "no clip has frames 30 s apart"),
    ],
)
def test_bad_parts_are_one_sentence(clips, tmp_path, given, error, says):
    with pytest.raises(error, match=says) as caught:
        pretrain(clips, tmp_path / "run", **QUICK, **given)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_photos_have_no_clips(noise_set, tmp_path):
    photos = noise_set([(None, None)] * 6, "photos")
    with pytest.raises(TrainingError, match=r"none of the 6 faces.*face-swap"):
        pretrain(photos, tmp_path / "run", method="ssl-fer", **QUICK)
    result = pretrain(photos, tmp_path / "run", method="ssl-fer", parts="face-swap,mask-fn", settings=SMALL, **QUICK)
    assert result.faces == 6
