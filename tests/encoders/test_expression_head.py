import json
import shutil

import numpy as np
import pytest
import torch
import yaml

from ferkit.encoders.encoder import load_encoder
from ferkit.encoders.expression_head import ExpressionHead
from ferkit.encoders.hashes import sha256_of
from ferkit.encoders.registry import load_registry, registered_weights
from ferkit.encoders.weights import save_weights
from ferkit.errors import WeightsError

ENCODER = "e" * 64
HEAD = ExpressionHead(
    ENCODER,
    ("anger", "happiness"),
    prototypes=np.eye(2, 3, dtype=np.float32),
    weight=np.array([[0, 0, 0], [np.log(3), 0, 0]], np.float32),
    bias=np.array([0, np.log(2)], np.float32),
    same=(2.0, -1.0),
)


def test_probabilities_are_a_softmax_that_does_not_overflow_and_the_curve_is_logistic():
    found = HEAD.probabilities(np.array([[0, 1, 0], [1, 0, 0]], np.float32))
    assert found == pytest.approx(np.array([[1 / 3, 2 / 3], [1 / 7, 6 / 7]]), abs=1e-6)
    sure = ExpressionHead(ENCODER, HEAD.classes, HEAD.prototypes, 1e4 * HEAD.weight, HEAD.bias)
    assert sure.probabilities(np.eye(3, dtype=np.float32)[:1]).tolist() == [[0, 1]]
    assert HEAD.same_probability(np.array([0.5, 1])) == pytest.approx([0.5, 1 / (1 + np.exp(-1))])


def test_what_is_saved_is_loaded(tmp_path):
    sha256 = HEAD.save(tmp_path / "head.safetensors")
    again = ExpressionHead.load(tmp_path / "head.safetensors", sha256, encoder=ENCODER, name="e")
    assert (again.classes, again.same, again.encoder) == (HEAD.classes, HEAD.same, ENCODER)
    for name in ("prototypes", "weight", "bias"):
        assert (getattr(again, name) == getattr(HEAD, name)).all()
    assert HEAD.save(tmp_path / "again.safetensors") == sha256


def test_a_head_of_another_encoder_is_refused(tmp_path):
    HEAD.save(tmp_path / "head.safetensors")
    with pytest.raises(WeightsError, match="encoder"):
        ExpressionHead.load(tmp_path / "head.safetensors", encoder="f" * 64, name="f")


@pytest.mark.parametrize("metadata", [None, "no JSON", json.dumps({"encoder": ENCODER, "classes": ["one"]})])
def test_other_safetensors_are_no_head(tmp_path, metadata):
    path = tmp_path / "other.safetensors"
    state = {"prototypes": torch.eye(2, 3), "weight": torch.eye(2, 3), "bias": torch.zeros(2)}
    save_weights(state, path, half=False, metadata=metadata)
    with pytest.raises(WeightsError, match="is no expression head"):
        ExpressionHead.load(path, encoder=ENCODER, name="e")


@pytest.mark.parametrize("entry", [entry for entry in load_registry().values() if entry.head], ids=lambda e: e.name)
def test_a_bundled_head_knows_the_eight_classes(entry):
    file = registered_weights(entry).with_name(entry.head.file)
    assert (sha256_of(file), file.stat().st_size) == (entry.head.sha256, entry.head.bytes)
    head = ExpressionHead.load(file, entry.head.sha256, encoder=entry.sha256, name=entry.name)
    assert len(head.classes) == 8
    assert np.linalg.norm(head.prototypes, axis=1) == pytest.approx(np.ones(8), abs=1e-5)
    # Each prototype is of its own class, and two faces of one expression are nearer than two of two.
    assert (head.probabilities(head.prototypes).argmax(axis=1) == np.arange(8)).all()
    assert head.same[0] > 0


def test_a_run_carries_its_head(run_folder, tmp_path):
    folder = shutil.copytree(run_folder, tmp_path / "run")
    entry = yaml.safe_load((folder / "encoder.yaml").read_text())
    head = ExpressionHead(entry["sha256"], HEAD.classes, *(np.ones((2, 512), np.float32),) * 2, HEAD.bias)
    sha256 = head.save(folder / "my.safetensors")
    block = {"file": "my.safetensors", "sha256": sha256, "bytes": 1, "data": "mine"}
    (folder / "encoder.yaml").write_text(yaml.safe_dump({**entry, "head": block}))
    assert load_encoder(folder, "cpu").head.classes == HEAD.classes
    (folder / "my.safetensors").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="SHA-256"):
        load_encoder(folder, "cpu")
