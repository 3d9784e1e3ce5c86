import json

import pytest
from typer.testing import CliRunner

from ferkit.cli import models
from ferkit.cli.output import out
from ferkit.encoders import DEFAULT_ENCODER
from ferkit.encoders.registry import EncoderEntry, load_registry
from ferkit.errors import UnknownEncoderError

FULL = EncoderEntry.model_validate(
    {
        "name": "smiles-r18",
        "arch": "resnet18",
        "dim": 512,
        "input_size": 96,
        "field": 104,
        "supervision": "weak",
        "trained_on": {
            "method": "crs-cont",
            "recipe": "recipes/smiles.yaml",
            "data": "[bold] pictures",
            "faces": 1234,
            "steps": 567,
            "commit": "0a1b2c",
        },
        "metrics": [
            {"protocol": "triplets", "data": "LFW", "value": 0.7125, "interval": [0.68, 0.74]},
            {"protocol": "kNN-20", "data": "FER+", "value": 0.5},
        ],
        "licences": {"code": "Apache-2.0", "weights": "research use only", "data": "ask them"},
        "paper": "arXiv:0000.00000",
        "weights": {"kind": "bundled", "file": "smiles-r18.safetensors"},
        "sha256": "ab" * 32,
        "bytes": 22_400_000,
    }
)


@pytest.fixture
def call(monkeypatch):
    """Run `ferkit models …` and return what it printed."""
    monkeypatch.setattr(out, "_width", 200)

    def run(*words):
        result = CliRunner().invoke(models.app, list(words))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.stdout

    return run


@pytest.fixture
def full_entry(monkeypatch):
    monkeypatch.setattr("ferkit.workflows.models.load_registry", lambda: {FULL.name: FULL})


def test_list_has_a_line_for_each_encoder_and_marks_the_default(call):
    lines = call("list").splitlines()
    for name in load_registry():
        (line,) = [line for line in lines if name in line]
        assert (" * " in line) == (name == DEFAULT_ENCODER)


def test_list_says_what_one_chooses_by(call, full_entry):
    assert "smiles-r18 resnet18 512 96 coarse labels 22.4 research use only" in " ".join(call("list").split())


def test_list_as_json_is_the_registry(call):
    printed = json.loads(call("list", "--json"))
    assert printed["default"] == DEFAULT_ENCODER
    assert [entry["name"] for entry in printed["encoders"]] == list(load_registry())


def test_show_tells_everything(call, full_entry):
    text = call("show", "smiles-r18")
    for fact in (
        "resnet18, vectors of 512",
        "96 px, showing the central 104 px of 'ferkit-128' crops",
        "mean 0.485, 0.456, 0.406, std 0.229, 0.224, 0.225",
        "coarse labels",
        "crs-cont",
        "[bold] pictures",
        "1234 faces, 567 steps",
        "recipes/smiles.yaml",
        "0a1b2c",
        "0.713 (95 %: 0.68, 0.74) triplets, on LFW",
        "0.500 kNN-20, on FER+",
        "code: Apache-2.0",
        "weights: research use only",
        "training data: ask them",
        "arXiv:0000.00000",
        "smiles-r18.safetensors (bundled), 22.4 MB",
        "ab" * 32,
    ):
        assert fact in text


def test_show_says_that_an_encoder_sees_gray(call, monkeypatch):
    gray = FULL.model_copy(update={"gray": True})
    monkeypatch.setattr("ferkit.workflows.models.load_registry", lambda: {FULL.name: gray})
    assert "of 'ferkit-128' crops in gray\n" in call("show", FULL.name)


def test_show_as_json_is_the_entry(call, full_entry):
    assert EncoderEntry.model_validate_json(call("show", "smiles-r18", "--json")) == FULL


def test_an_unknown_name_says_the_nearest(call):
    with pytest.raises(UnknownEncoderError, match=DEFAULT_ENCODER):
        call("show", DEFAULT_ENCODER + "0")
