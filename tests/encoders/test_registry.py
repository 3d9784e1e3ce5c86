import pytest
import yaml
from pydantic import ValidationError

from ferkit.encoders.registry import EncoderEntry, entry_to_yaml, load_registry, read_entry
from ferkit.errors import InputError

FIELDS = {
    "name": "smiles-r18",
    "arch": "resnet18",
    "dim": 512,
    "supervision": "unsupervised",
    "mean": [0.5, 0.5, 0.5],
    "trained_on": {"method": "byol", "data": "nothing much", "faces": 12, "steps": 3},
    "metrics": [{"protocol": "linear", "data": "valid", "value": 0.5, "interval": [0.4, 0.6]}],
    "licences": {"code": "Apache-2.0", "weights": "research use only", "data": "unknown – ask"},
    "weights": {"kind": "bundled", "file": "smiles-r18.safetensors"},
    "sha256": "ab" * 32,
    "bytes": 100,
}


def write(path, *entries):
    path.write_text(yaml.safe_dump({"encoders": list(entries)}), encoding="utf-8")
    return path


def test_every_entry_of_models_yaml_says_what_one_may_do_with_it():
    for entry in load_registry().values():
        assert "research" in entry.licences.weights or "Apache" in entry.licences.weights
        assert entry.trained_on is not None


def test_yaml_round_trip(tmp_path):
    entry = EncoderEntry.model_validate(FIELDS)
    path = tmp_path / "encoder.yaml"
    path.write_text(entry_to_yaml(entry), encoding="utf-8")
    assert read_entry(path) == entry
    assert entry.metrics[0].interval == (0.4, 0.6)
    assert "ask" in entry_to_yaml(entry)
    assert "paper" not in entry_to_yaml(entry)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"dim": 0}, "encoders.0.dim"),
        ({"colour": "blue"}, "encoders.0.colour"),
        ({"sha256": "ab"}, "encoders.0.sha256"),
        ({"mean": [0.5, float("inf"), 0.5]}, "encoders.0.mean.1"),
        ({"std": [0.5, 0, 0.5]}, "encoders.0.std.1"),
        ({"input_size": 1025}, "encoders.0.input_size"),
        ({"name": "smiles\x1b[2J"}, "encoders.0.name"),
        ({"paper": "arXiv\x9b2J"}, "encoders.0.paper"),
        ({"licences": None}, "smiles-r18"),
        ({"weights": {"kind": "file", "file": "a.safetensors"}}, "smiles-r18"),
    ],
)
def test_a_wrong_entry_is_one_sentence_that_says_where(tmp_path, change, where):
    path = write(tmp_path / "m.yaml", {**FIELDS, **change})
    with pytest.raises(InputError, match=where) as caught:
        load_registry(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("place", ["../", "/etc/", "sub/", "..\\", "C:"])
def test_weights_never_lie_outside_their_folder(place):
    for file in (f"{place}evil.safetensors", ".safetensors", "evil.pt", "evil.safetensors\n", ""):
        with pytest.raises(ValidationError):
            EncoderEntry.model_validate({**FIELDS, "weights": {"kind": "bundled", "file": file}})


@pytest.mark.parametrize(
    "content", [b"encoders: [", b"", b"- 1", b"encoders: []", b"\xff\xfe\x00", b"encoders: {a: 1}"]
)
def test_what_is_no_registry_is_one_sentence(tmp_path, content):
    path = tmp_path / "m.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_registry(path)
    assert "\n" not in str(caught.value)


HUB = {"kind": "hub", "file": "model.safetensors", "repo": "ann/faces", "revision": "main"}


def test_weights_on_the_hub_may_lack_their_hash_and_others_not(tmp_path):
    known = {name: value for name, value in FIELDS.items() if name not in {"sha256", "bytes"}}
    (entry,) = load_registry(write(tmp_path / "m.yaml", {**known, "weights": HUB})).values()
    assert (entry.sha256, entry.bytes, entry.weights.repo) == (None, None, "ann/faces")
    with pytest.raises(InputError, match="need their sha256"):
        load_registry(write(tmp_path / "m.yaml", known))
    with pytest.raises(InputError, match="twice"):
        load_registry(write(tmp_path / "m.yaml", FIELDS, FIELDS))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"repo": None}, "have a repo and a revision"),
        ({"repo": "faces"}, "repo"),
        ({"repo": "../faces"}, "repo"),
        ({"file": "pytorch_model.bin"}, "file"),
        ({"file": "sub/model.safetensors"}, "may lie in a folder"),
    ],
)
def test_weights_on_the_hub_say_where_and_are_no_pickle(tmp_path, change, said):
    with pytest.raises(InputError, match=said):
        load_registry(write(tmp_path / "m.yaml", {**FIELDS, "weights": {**HUB, **change}}))


@pytest.mark.parametrize("name", [name for name, entry in load_registry().items() if entry.weights.kind == "hub"])
def test_entries_of_the_hub_are_what_timm_knows_of_them(name):
    import timm
    import torch

    from ferkit.encoders.backbones import build_backbone, feature_dim

    entry = load_registry()[name]
    known = timm.get_pretrained_cfg(entry.weights.repo.removeprefix("timm/"))
    assert (known.hf_hub_id, known.architecture) == (entry.weights.repo, entry.arch)
    assert (known.mean, known.std, known.license) == (entry.mean, entry.std, entry.licences.weights.lower())
    assert known.paper_ids in (None, entry.paper)
    assert (entry.supervision == "supervised") == bool(known.num_classes)
    with torch.device("meta"):
        network = build_backbone(entry.arch, entry.input_size)
        features = network(torch.zeros(1, 3, entry.input_size, entry.input_size))
    assert features.shape[1] == feature_dim(network) == entry.dim
