import csv
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from safetensors.torch import load_file

from ferkit.data.face_set import FaceSetWriter
from ferkit.data.faces import Face, crop_sha256
from ferkit.encoders.encoder import load_encoder
from ferkit.errors import (
    BusyError,
    InputError,
    MissingPathError,
    OutputError,
    SetError,
    TrainingError,
    UnknownEncoderError,
    UnknownNameError,
)
from ferkit.locks import output_lock
from ferkit.workflows.pretrain import pretrain

SMALL = {"views.size": 32, "hidden": 32, "log_steps": 1, "checkpoint_steps": 2}
QUICK = {"backbone": "test_resnet", "batch_size": 4, "epochs": 2, "settings": SMALL, "device": "cpu"}


def write_faces(path, count, channels=3, **known):
    """A face set of noise; labels and identities as functions of the row."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 128, 128, channels), dtype=np.uint8)
    pixels = np.broadcast_to(pixels, (count, 128, 128, 3))
    unknown = dict.fromkeys(("clip", "identity", "time_s", "label", "box", "landmarks", "score"))
    rows = [
        Face(
            f"/photos/{row}.jpg",
            1,
            sha256=crop_sha256(pixels[row]),
            **unknown | {name: of(row) for name, of in known.items()},
        )
        for row in range(count)
    ]
    with FaceSetWriter(path, "ferkit-128", 128, fingerprint="test") as writer:
        writer.append(pixels, rows, pictures_done=count)
    return path


@pytest.fixture
def faces(tmp_path):
    return write_faces(tmp_path / "faces", 13)


@pytest.fixture
def labelled(tmp_path):
    """Three kinds of face of 20 people."""
    return write_faces(
        tmp_path / "labelled", 40, label=lambda row: "abc"[row % 3], identity=lambda row: f"person {row // 2}"
    )


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("contrawarping", {}),
        ("contrawarping", {"base": "simclr"}),
        ("byol", {}),
        ("simclr", {}),
        ("mocov2", {"queue": 16}),
    ],
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


def test_recipe_and_metrics_lie_beside_the_weights(faces, tmp_path):
    pretrain([faces], tmp_path / "run", **QUICK)
    recipe = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    assert recipe["method"] == "contrawarping"
    assert recipe["settings"]["base"] == "byol"
    assert recipe["faces"] == 13
    with (tmp_path / "run" / "metrics.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [1, 2, 3, 4, 5, 6]


def test_same_recipe_same_weights(faces, tmp_path):
    for name in ("a", "b"):
        pretrain([faces], tmp_path / name, **QUICK)
    first, second = (tmp_path / name / "encoder.safetensors" for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()


COMMAND = [
    *(sys.executable, "-m", "ferkit", "pretrain", "--backbone", "test_resnet", "--batch-size", "4", "--epochs", "12"),
    *("--set", "views.size=32", "--set", "hidden=32", "--set", "checkpoint_steps=2", "--set", "log_steps=1"),
    *("--device", "cpu", "--set", "monitor.every=0"),
]


def test_killed_and_resumed_ends_with_the_same_weights(faces, tmp_path):
    command = [*COMMAND, str(faces)]
    subprocess.run([*command, "-o", tmp_path / "whole"], check=True, capture_output=True)
    broken = tmp_path / "broken"
    with subprocess.Popen([*command, "-o", broken], stderr=subprocess.PIPE) as process:
        while not list(broken.glob("checkpoints/step-*")):
            assert process.poll() is None, process.stderr.read().decode()
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (broken / "encoder.safetensors").exists()
    subprocess.run([*command, "-o", broken, "--resume"], check=True, capture_output=True)
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


def test_resuming_says_where_it_begins(faces, tmp_path, listener):
    progress = listener()
    (tmp_path / "run").mkdir()
    pretrain([faces], tmp_path / "run", **QUICK, resume=True, progress=progress)
    pretrain([faces], tmp_path / "run", **QUICK, resume=True, progress=progress)
    assert [said for said in progress.said if "alignment" not in said] == [
        f"no checkpoint in '{tmp_path / 'run'}' to go on from: beginning at the first step",
        "going on after step 6 of 6",
    ]


def test_training_path_needs_neither_faiss_nor_detector(faces, tmp_path):
    code = (
        "import sys\n"
        "for name in ('faiss', 'facenet_pytorch'): sys.modules[name] = None\n"
        "import ferkit\n"
        f"ferkit.pretrain([{str(faces)!r}], {str(tmp_path / 'run')!r}, backbone='test_resnet',\n"
        "    batch_size=4, epochs=1, settings={'views.size': 32, 'hidden': 32}, device='cpu')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_image_folder_and_parquet_are_aligned_on_the_way(tmp_path):
    folder = tmp_path / "crops"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(6):
        Image.fromarray(rng.integers(0, 256, (48, 48), dtype=np.uint8)).save(folder / f"{index}.png")
    rows = [{"bytes": path.read_bytes(), "path": path.name} for path in sorted(folder.iterdir())]
    pq.write_table(pa.table({"image": rows}), tmp_path / "crops.parquet")
    quick = QUICK | {"epochs": 1}
    a = pretrain([folder], tmp_path / "a", **quick)
    b = pretrain([tmp_path / "crops.parquet"], tmp_path / "b", **quick)
    assert a.faces == b.faces == 6
    first, second = (load_file(tmp_path / name / "encoder.safetensors") for name in ("a", "b"))
    assert all(np.array_equal(first[key].numpy(), second[key].numpy()) for key in first)


def test_faces_without_colour_make_an_encoder_that_is_shown_none(faces, tmp_path):
    gray = write_faces(tmp_path / "gray", 13, channels=1)
    runs = [pretrain(source, tmp_path / f"run {source.name}", **QUICK).run for source in (faces, gray)]
    assert [load_encoder(run).entry.gray for run in runs] == [False, True]


def test_starting_from_an_encoder(faces, tmp_path):
    pretrain([faces], tmp_path / "first", **QUICK)
    frozen = QUICK | {"settings": SMALL | {"lr": 1e-12}, "init": str(tmp_path / "first")}
    pretrain([faces], tmp_path / "second", **frozen)
    first, second = (load_file(tmp_path / name / "encoder.safetensors") for name in ("first", "second"))
    key = next(name for name in first if name.endswith("conv1.weight"))
    np.testing.assert_allclose(first[key].float(), second[key].float(), atol=1e-3)


def test_starting_from_another_network_is_refused(faces, tmp_path):
    pretrain([faces], tmp_path / "first", **QUICK)
    with pytest.raises(TrainingError, match="add backbone test_resnet"):
        pretrain([faces], tmp_path / "second", **QUICK | {"init": str(tmp_path / "first"), "backbone": "resnet18"})


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"method": "contrawraping"}, UnknownNameError, "contrawarping"),
        ({"backbone": "resnet81"}, UnknownNameError, "resnet18"),
        ({"settings": {"views.sise": 3}}, UnknownNameError, "views.size"),
        ({"settings": {"lr": "fast"}}, InputError, "lr"),
        ({"batch_size": 64}, TrainingError, "13 faces do not fill one batch of 64"),
        ({"init": "no-such-encoder"}, UnknownEncoderError, "no encoder named"),
        ({"settings": {"optimizer": "adamx"}}, UnknownNameError, "adam"),
    ],
)
def test_bad_settings_are_one_sentence(faces, tmp_path, change, error, says):
    with pytest.raises(error, match=says):
        pretrain([faces], tmp_path / "run", **QUICK | change)
    assert not (tmp_path / "run").exists()


def test_few_faces_get_a_batch_that_they_fill(faces, tmp_path):
    quick = {key: value for key, value in QUICK.items() if key != "batch_size"}
    assert pretrain([faces], tmp_path / "run", **quick).steps == 2
    recipe = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    assert recipe["training"]["batch_size"] == 8  # of 13 faces


def test_missing_faces_are_told_before_a_run_folder_is_made(tmp_path):
    with pytest.raises(MissingPathError):
        pretrain([tmp_path / "nowhere"], tmp_path / "run", **QUICK)
    assert not (tmp_path / "run").exists()


def test_without_a_default_face_set_says_how_to_make_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingPathError, match="ferkit align PHOTOS -o faces"):
        pretrain(**QUICK)


def test_existing_run_is_left_alone_without_resume(faces, tmp_path):
    pretrain([faces], tmp_path / "run", **QUICK)
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    with pytest.raises(OutputError, match="resume=True"):
        pretrain([faces], tmp_path / "run", **QUICK)
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before


def test_a_run_that_was_killed_before_its_recipe_was_there_starts(faces, tmp_path):
    for name in (".recipe.partial.yaml", ".recipe.partial.yaml.lock"):
        (tmp_path / "run").mkdir(exist_ok=True)
        (tmp_path / "run" / name).write_text("half")
    pretrain([faces], tmp_path / "run", **QUICK, resume=True)
    left = tmp_path / "run" / "checkpoints" / ".step-00000001.partial"
    left.mkdir()
    pretrain([faces], tmp_path / "run", **QUICK, resume=True)
    assert not list((tmp_path / "run").rglob(".*"))


def test_only_one_trains_into_a_run(faces, tmp_path):
    with output_lock(tmp_path / "run"), pytest.raises(BusyError, match="is writing"):
        pretrain([faces], tmp_path / "run", **QUICK)
    assert not (tmp_path / "run").exists()


def test_foreign_folder_is_left_alone(faces, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(OutputError, match="no run of ferkit"):
            pretrain([faces], tmp_path / "run", **QUICK, resume=resume)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


def test_resuming_with_another_recipe_says_what_changed(faces, tmp_path):
    pretrain([faces], tmp_path / "run", **QUICK)
    with pytest.raises(TrainingError, match=r"training\.epochs was 2\.0 and is 3\.0"):
        pretrain([faces], tmp_path / "run", **QUICK | {"epochs": 3}, resume=True)


def test_output_that_cannot_be_written(faces, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        pretrain([faces], tmp_path / "file" / "run", **QUICK)


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


def test_the_recipe_keeps_which_faces_were_taken(tmp_path, listener):
    faces = write_faces(tmp_path / "faces", 12, size=lambda row: 30.0 + row)
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


def test_looking_changes_no_weight(faces, labelled, tmp_path):
    pretrain([faces], tmp_path / "seen", **QUICK | {"settings": SMALL | {"monitor.every": 0.3}}, monitor=labelled)
    pretrain([faces], tmp_path / "unseen", **QUICK | {"settings": SMALL | {"monitor.every": 0}})
    assert weights(tmp_path / "seen") == weights(tmp_path / "unseen")
    assert not (tmp_path / "unseen" / "monitor.csv").exists()


def test_a_run_may_go_on_with_other_looks(faces, labelled, tmp_path):
    pretrain([faces], tmp_path / "run", **QUICK)
    result = pretrain([faces], tmp_path / "run", **QUICK, monitor=labelled, resume=True)
    assert result.steps == 6
    saved = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    assert saved["training"]["monitor"]["data"] == str(labelled)


def test_monitor_faces_without_labels_are_refused(faces, tmp_path):
    with pytest.raises(InputError, match="kNN accuracy needs two kinds"):
        pretrain([faces], tmp_path / "run", **QUICK, monitor=faces)
    assert not (tmp_path / "run").exists()


def test_supervised_learns_labels_and_says_so(labelled, tmp_path):
    quick = QUICK | {"settings": {key: value for key, value in SMALL.items() if key != "hidden"}}
    pretrain([labelled], tmp_path / "run", method="supervised", **quick)
    assert load_encoder(tmp_path / "run", device="cpu").entry.supervision == "supervised"
    assert yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())["settings"]["classes"] == ["a", "b", "c"]
    # Its own faces cannot show how well it tells labels.
    with pytest.raises(InputError, match="other faces than its own"):
        pretrain([labelled], tmp_path / "other", method="supervised", **quick, monitor=labelled)


def test_supervised_without_labels_is_refused(faces, tmp_path):
    quick = QUICK | {"settings": {"views.size": 32}}
    with pytest.raises(TrainingError, match="none of the 13 faces has one"):
        pretrain([faces], tmp_path / "run", method="supervised", **quick)
    assert not (tmp_path / "run").exists()


def test_features_that_collapse_are_told(faces, tmp_path, listener):
    progress = listener()
    settings = SMALL | {"monitor.every": 1, "monitor.collapse": 1.0, "monitor.sheet": 0}
    pretrain([faces], tmp_path / "run", **QUICK | {"settings": settings}, progress=progress)
    assert any("all but collapsed" in said for said in progress.said)
    assert not (tmp_path / "run" / "sheets").exists()


def test_transformer_at_another_size(faces, tmp_path):
    pretrain([faces], tmp_path / "run", **QUICK | {"backbone": "test_vit"})
    assert load_encoder(tmp_path / "run", device="cpu").embed(np.zeros((1, 128, 128, 3), np.uint8)).shape == (1, 64)


def test_size_that_a_network_cannot_take(faces, tmp_path):
    with pytest.raises(TrainingError, match=r"test_vit cannot take images of 33 px .*views\.size"):
        pretrain([faces], tmp_path / "run", **QUICK | {"backbone": "test_vit", "settings": SMALL | {"views.size": 33}})
    assert not (tmp_path / "run").exists()


def test_crops_of_mixed_size_are_refused(faces, tmp_path):
    np.save(faces / "faces-00001.npy", np.zeros((2, 64, 64, 3), np.uint8))
    with pytest.raises(SetError, match=r"faces-00001\.npy is \(2, 64, 64, 3\)"):
        pretrain([faces], tmp_path / "run", **QUICK)
    assert not (tmp_path / "run").exists()
