"""Files of others: what holds only tensors is read, what would run code is not, and everything else is one sentence."""

import argparse
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ferkit.encoders.hashes import sha256_of
from ferkit.encoders.importing.checkpoint import read_checkpoint
from ferkit.encoders.importing.origins import ORIGINS
from ferkit.encoders.weights import save_weights
from ferkit.errors import InputError, MissingPathError, WeightsError

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "a.steps": torch.tensor(3)}


def saved(path, content, **options):
    torch.save(content, path, **options)
    return path


class RunsCode:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zip_form", [True, False])
@pytest.mark.parametrize(
    "content",
    [
        TENSORS,
        {"epoch": 3, "state_dict": TENSORS, "optimizer": {"lr": 0.1}},
        {"model": {"other": torch.ones(1)}, "state_dict": TENSORS},
        {"state_dict": TENSORS | {"version": 1}},
    ],
)
def test_tensors_are_found(tmp_path, content, zip_form):
    path = saved(tmp_path / "x.pth.tar", content, _use_new_zipfile_serialization=zip_form)
    found = read_checkpoint(path)
    assert found.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(found.tensors[name], TENSORS[name]) for name in TENSORS)
    assert found.sha256 == sha256_of(path)


def test_safetensors(tmp_path):
    save_weights(TENSORS, tmp_path / "x.safetensors", half=False)
    assert torch.equal(read_checkpoint(tmp_path / "x.safetensors").tensors["a.weight"], TENSORS["a.weight"])


@pytest.mark.parametrize("zip_form", [True, False])
def test_code_in_a_pickle_is_not_run(tmp_path, zip_form):
    trap = tmp_path / "trap"
    content = {"state_dict": TENSORS, "extra": RunsCode(trap)}
    path = saved(tmp_path / "evil.pth", content, _use_new_zipfile_serialization=zip_form)
    with pytest.raises(WeightsError, match="can run code") as caught:
        read_checkpoint(path)
    assert not trap.exists()
    assert "\n" not in str(caught.value)
    torch.load(path, weights_only=False)  # the trap works where it is let
    assert trap.exists()


@pytest.mark.parametrize(
    ("origin", "content"),
    [
        ("crs-cont", {"model": TENSORS}),
        ("timm", {"state_dict": {"raw": torch.ones(1)}, "state_dict_ema": TENSORS}),
        ("timm", {"state_dict": TENSORS}),
        ("ssl-fer", {"state_dict": {"sound": torch.ones(1)}, "state_dict_img": TENSORS}),
    ],
)
def test_the_advice_keeps_what_the_origin_would_take(tmp_path, monkeypatch, origin, content):
    path = saved(tmp_path / "last.pth", {"args": argparse.Namespace(lr=0.5), "arch": "resnet18", **content})
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path, ORIGINS[origin].holders)
    monkeypatch.chdir(tmp_path)
    exec(str(caught.value).split('python -c "')[1].split('"')[0], {})
    found = read_checkpoint(tmp_path / "tensors.pth", ORIGINS[origin].holders)
    assert (found.tensors.keys(), found.arch) == (TENSORS.keys(), "resnet18")


def test_a_name_that_a_shell_would_run_is_not_put_into_a_command(tmp_path):
    path = saved(tmp_path / "$(id).pth", {"opt": argparse.Namespace(), "state_dict": TENSORS})
    with pytest.raises(WeightsError) as caught:
        read_checkpoint(path)
    assert "$(id)" not in str(caught.value).split("run once:")[1]


@pytest.mark.parametrize("content", [[torch.ones(1)], 3, {}, {"weights": TENSORS, "epoch": 1}, {"state_dict": {}}])
def test_what_holds_no_tensors_with_names_or_holds_them_elsewhere(tmp_path, content):
    with pytest.raises(WeightsError, match="no tensors"):
        read_checkpoint(saved(tmp_path / "x.pt", content))


@pytest.mark.parametrize(("name", "error"), [("", InputError), ("x.pth", MissingPathError)])
def test_what_is_no_file(tmp_path, name, error):
    with pytest.raises(error):
        read_checkpoint(tmp_path / name)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("good") / "x.pth", TENSORS).read_bytes()


@settings(max_examples=40)
@given(data=st.binary(max_size=200), end=st.integers(0, 2000))
def test_damaged_files_are_one_sentence(tmp_path_factory, good, data, end):
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "random.pth").write_bytes(data)
    (folder / "cut.pth").write_bytes(good[: min(end, len(good) - 1)])
    for path in (folder / "random.pth", folder / "cut.pth"):
        with pytest.raises(WeightsError) as caught:
            read_checkpoint(path)
        assert "\n" not in str(caught.value)
