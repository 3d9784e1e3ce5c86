import pytest
from typer.testing import CliRunner

from ferkit.cli import models
from ferkit.cli.output import out
from ferkit.encoders import DEFAULT_ENCODER
from ferkit.encoders.registry import EncoderEntry, load_registry

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


def test_show_tells_everything(call, full_entry):
    text = call("show", "smiles-r18")
    for field in ("arch", "paper", "sha256"):
        assert getattr(FULL, field) in text
    for field in ("method", "recipe", "data", "commit"):
        assert getattr(FULL.trained_on, field) in text
    for fact in ("512", "104 px", "0.485, 0.456, 0.406", "0.713 (95 %: 0.68, 0.74)", "research use only", "22.4 MB"):
        assert fact in text


def test_show_as_json_is_the_entry(call, full_entry):
    assert EncoderEntry.model_validate_json(call("show", "smiles-r18", "--json")) == FULL
