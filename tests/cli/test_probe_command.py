"""``ferkit probe`` as a user types it."""

import inspect
import json
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image

import ferkit
from ferkit.cli.probe import probe
from ferkit.pipeline.face_options import FaceOptions
from ferkit.probing.settings import ProbeOutputs, ProbeSettings


@pytest.fixture
def labelled(tmp_path, monkeypatch):
    """Crops of four people in class folders: photos/<label>/<person>_<n>.png."""
    monkeypatch.setenv("FERKIT_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    for label, low in (("calm", 0), ("glad", 100)):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(8):
            pixels = random.integers(low, low + 100, (64, 64, 3), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / label / f"p{number // 2}_{number}.png")
    return ["--data", "photos", "--aligned", "--identity-from", r"(p\d)_"]


def test_a_table_and_a_report(ferkit_command, labelled, run_folder, tmp_path):
    done = ferkit_command(
        "probe", run_folder, "pixels", *labelled, "--compare", "-p", "linear,knn", "-o", "report", "--no-pictures"
    )
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "data  photos: 16 faces, 4 people; calm 8, glad 8"
    linear = next(number for number, line in enumerate(lines) if line.split()[:1] == ["linear"])
    assert lines[linear].split() == ["linear", "accuracy", "balanced_accuracy", "macro_f1"]
    assert [line.split()[0] for line in lines[linear + 1 : linear + 4]] == ["random-resnet18", "pixels", "chance"]
    assert "random-resnet18 − pixels" in lines[linear + 4]
    assert lines[-1] == "report: report"
    told = json.loads((tmp_path / "report" / "report.json").read_text())
    assert [encoder["name"] for encoder in told["encoders"]] == ["random-resnet18", "pixels"]


def test_json_is_the_report_and_the_only_output(ferkit_command, labelled, run_folder):
    told = json.loads(ferkit_command("probe", run_folder, *labelled, "-p", "linear", "--folds", 2, "--json").out)
    assert told["settings"]["folds"] == 2
    assert told["split"].startswith("2-fold")
    assert list(told["encoders"][0]["sections"]) == ["linear"]


def test_defaults_of_the_command_and_of_the_function_agree():
    ours, theirs = (inspect.signature(function).parameters for function in (probe, ferkit.probe))
    named = {"json", *(field.name for kind in (FaceOptions, ProbeOutputs, ProbeSettings) for field in fields(kind))}
    assert named <= set(ours)
    assert set(ours) - named == set(theirs) - {"progress", "options"}
