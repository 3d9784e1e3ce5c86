"""Files of users' own encoders: FERKIT_MODELS."""

import os

import pytest
import yaml

from ferkit.encoders.encoder import load_encoder
from ferkit.encoders.registry import load_registry, read_entry, registered_weights
from ferkit.errors import InputError


@pytest.fixture
def fields(run_folder):
    """What a models file says of the encoder of a run."""
    return read_entry(run_folder / "encoder.yaml").model_dump(mode="json", exclude_none=True)


@pytest.fixture
def own(tmp_path, monkeypatch, run_folder):
    """Write a models file with its weights beside it, and name it in FERKIT_MODELS behind those before."""
    monkeypatch.delenv("FERKIT_MODELS", raising=False)

    def write(folder, *entries):
        path = tmp_path / folder / "models.yaml"
        path.parent.mkdir()
        path.write_text(yaml.safe_dump({"encoders": list(entries)}))
        weights = run_folder / "encoder.safetensors"
        (path.parent / "sub").mkdir()
        for name in ("mine.safetensors", "sub/mine.safetensors"):
            (path.parent / name).write_bytes(weights.read_bytes())
        monkeypatch.setenv("FERKIT_MODELS", os.pathsep.join(filter(None, [os.environ.get("FERKIT_MODELS"), str(path)])))
        return path

    return write


def at(fields, file, name="mine", **change):
    return {**fields, "name": name, "weights": {"kind": "file", "file": file}, **change}


def test_own_encoders_come_after_ours_and_load_by_name(own, fields):
    shipped = list(load_registry())
    own("a", at(fields, "mine.safetensors"))
    own("b", at(fields, "sub/mine.safetensors", "other"))
    registry = load_registry()
    assert list(registry) == [*shipped, "mine", "other"]
    assert registered_weights(registry["other"]).parts[-3:] == ("b", "sub", "mine.safetensors")
    assert load_encoder("other", device="cpu").sha256 == fields["sha256"]


def test_no_name_is_given_again(own, fields, monkeypatch):
    def refused(path, words):
        with pytest.raises(InputError, match=words) as caught:
            load_registry()
        assert str(path) in str(caught.value)

    refused(own("a", at(fields, "mine.safetensors", "votes-r18")), "'votes-r18'")
    monkeypatch.delenv("FERKIT_MODELS")
    own("b", at(fields, "mine.safetensors"))
    refused(own("c", at(fields, "mine.safetensors")), "'mine', which there is already")


@pytest.mark.parametrize("file", ["../x.safetensors", "/x.safetensors", "sub/../../x.safetensors", ".h/x.safetensors"])
def test_weights_never_lie_outside_the_files_folder(own, fields, file):
    path = own("a", at(fields, file))
    with pytest.raises(InputError, match=r"encoders\.0\.weights\.file") as caught:
        load_registry()
    assert str(path) in str(caught.value)


def test_no_link_leads_out_of_the_folder(own, fields, run_folder):
    path = own("a", at(fields, "link.safetensors"), at(fields, "inside.safetensors", "inside"))
    (path.parent / "link.safetensors").symlink_to(run_folder / "encoder.safetensors")
    (path.parent / "inside.safetensors").symlink_to(path.parent / "sub" / "mine.safetensors")
    with pytest.raises(InputError, match="lie outside"):
        load_encoder("mine", device="cpu")
    assert load_encoder("inside", device="cpu").name == "inside"


def test_a_file_that_is_not_there_is_not_passed_over(monkeypatch, tmp_path):
    monkeypatch.setenv("FERKIT_MODELS", str(tmp_path / "none.yaml"))
    with pytest.raises(InputError, match=r"none\.yaml'.*No such file"):
        load_registry()
