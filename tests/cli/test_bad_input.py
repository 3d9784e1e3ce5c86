"""What users get wrong: one sentence, an exit status of its own, nothing half-written, what was there untouched."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image


def snapshot(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def refused(ferkit_command, tmp_path):
    """Run a command that must fail and leave every file as it was; the sentence it says."""

    def run(code, *arguments):
        before = snapshot(tmp_path)
        outcome = ferkit_command(*arguments)
        assert outcome.code == code, outcome
        assert outcome.out == ""
        assert "Traceback" not in outcome.err
        errors = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, outcome.err
        assert snapshot(tmp_path) == before
        return errors[0]

    return run


@pytest.fixture
def made(ferkit_command, crops, run_folder):
    """An embedding set emb.npy of the crops."""
    assert ferkit_command("embed", "crops", "-e", run_folder).code == 0


@pytest.mark.parametrize(("verb", "option", "out"), [("align", "-o", "new"), ("embed", "-o", "new.npy")])
def test_sources_that_hold_nothing(refused, tmp_path, verb, option, out):
    (tmp_path / "empty").mkdir()
    assert "'nowhere'" in refused(2, verb, "nowhere", option, out)
    assert "no image" in refused(2, verb, "empty", option, out)


@pytest.mark.parametrize(("verb", "out"), [("align", "new"), ("embed", "new.npy")])
def test_no_face_anywhere(refused, crops, run_folder, verb, out):
    encoder = ["-e", run_folder] if verb == "embed" else []
    assert "no face" in refused(2, verb, "crops", "--detect", "-o", out, *encoder)


def test_a_face_set_in_the_wrong_place(refused, ferkit_command, made):
    assert ferkit_command("align", "crops", "-o", "sets/studio").code == 0
    for verb in ("retrieve", "warp-preview"):
        assert "'sets/studio' is a face set, and pictures or videos are wanted" in refused(2, verb, "sets/studio")
    assert "'sets' is a folder of face sets (studio); name one of them" in refused(2, "embed", "sets", "-o", "new.npy")


@pytest.fixture
def damaged(tmp_path):
    folder = tmp_path / "damaged"
    folder.mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)).save(folder / "truncated.jpg")
    content = (folder / "truncated.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(content[: len(content) // 2])
    (folder / "text.jpg").write_text("not a picture")
    (folder / "empty.jpg").touch()
    return folder


@pytest.mark.parametrize("name", ["truncated.jpg", "text.jpg", "empty.jpg"])
def test_a_damaged_picture_alone(refused, damaged, made, run_folder, name):
    assert name in refused(2, "retrieve", damaged / name)
    assert name in refused(2, "embed", damaged / name, "-o", "new.npy", "-e", run_folder)
    assert name in refused(2, "align", damaged / name, "-o", "new")


def test_damaged_pictures_among_good_ones_are_listed(ferkit_command, damaged, crops, run_folder):
    for path in damaged.iterdir():
        shutil.copy(path, crops)
    outcome = ferkit_command("embed", "crops", "-e", run_folder)
    assert (outcome.code, "5 faces of 8 pictures" in outcome.out) == (0, True)
    assert all(name in outcome.out for name in ("3 unreadable", "truncated.jpg", "text.jpg", "empty.jpg"))


def test_a_full_disk(refused, made, run_folder, file_size_limit):
    with file_size_limit(4096):
        assert "'other.npy'" in refused(6, "embed", "crops", "-o", "other.npy", "-e", run_folder)
        assert "/other'" in refused(6, "align", "crops", "-o", "other")
        assert "found.png" in refused(6, "retrieve", "crops/0.png", "--montage", "found.png")


def test_an_output_that_is_taken(refused, ferkit_command, crops, run_folder, tmp_path):
    ferkit_command("align", "crops")
    assert "--overwrite" in refused(6, "align", "crops/0.png")  # another job
    assert "crops" in refused(6, "align", "crops", "-o", "crops", "--overwrite")
    (tmp_path / "notes.json").write_text("{}")
    assert "notes.json" in refused(6, "embed", "crops", "-o", "notes.npy", "-e", run_folder)
    assert "notes.txt.npy" in refused(6, "embed", "crops", "-o", "notes.txt", "-e", run_folder)
    assert "leave out --fresh" in refused(2, "embed", "crops", "-o", "emb", "--parts", "2", "--fresh")


@pytest.mark.parametrize("place", ["crops/0.png/x", "sealed/x"])
def test_a_place_that_cannot_be_written(refused, made, run_folder, tmp_path, place):
    if place.startswith("sealed") and os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    (tmp_path / "sealed").mkdir(mode=0o555)
    assert f"{place}.npy" in refused(6, "embed", "crops", "-o", f"{place}.npy", "-e", run_folder)
    assert place in refused(6, "align", "crops", "-o", place)
    assert f"{place}.png" in refused(6, "retrieve", "crops/0.png", "--montage", f"{place}.png")


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (ImportError("libGL.so.1: cannot open shared object file"), "`apt-get install libgl1 libglib2.0-0`"),
        (RuntimeError("operator torchvision::nms does not exist"), "install both from one index"),
    ],
)
def test_a_library_that_cannot_be_loaded_is_told_with_its_remedy(refused, monkeypatch, error, remedy):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("ferkit.cli.app", fail)
    assert remedy in refused(1, "align", "photos")
