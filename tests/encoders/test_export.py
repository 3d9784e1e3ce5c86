from pathlib import Path
from types import SimpleNamespace

import pytest
import timm
import torch

from ferkit.encoders import export
from ferkit.encoders.encoder import load_encoder, random_encoder
from ferkit.encoders.export import FORMATS, write_export
from ferkit.encoders.runtimes import ConversionError, is_installed
from ferkit.errors import OutputError


@pytest.fixture
def encoder(run_folder, one_onnx):
    return load_encoder(run_folder, "cpu")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_encoders_vectors(encoder, name, tmp_path):
    if not is_installed(FORMATS[name].runtime):
        pytest.skip(f"{FORMATS[name].runtime} is not installed")
    path = tmp_path / f"x{FORMATS[name].suffix}"
    parity = write_export(encoder, path, name, 128)
    assert path.exists()
    assert parity.crops == 32
    assert parity.difference < 1e-5
    for file in path.iterdir() if path.is_dir() else [path]:
        for folder in (
            Path(export.__file__).parents[3],
            Path(timm.__file__).parents[1],
            Path(torch.__file__).parents[1],
        ):
            assert str(folder).encode() not in file.read_bytes()


def test_nothing_is_left_of_a_file_that_gives_other_vectors(encoder, tmp_path, monkeypatch):
    def write_another(encoder, side, folder):
        FORMATS["safetensors"].write(random_encoder("resnet10t", input_size=32, seed=1), side, folder)

    wrong = FORMATS["safetensors"]._replace(write=write_another)
    monkeypatch.setattr(export, "FORMATS", {"wrong": wrong})
    with pytest.raises(ConversionError, match="other vectors"):
        write_export(encoder, tmp_path / "x", "wrong", 128)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_sentence(encoder, tmp_path, monkeypatch, file_size_limit):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=1000))
    with file_size_limit(100_000), pytest.raises(OutputError, match="cannot write"):
        write_export(encoder, tmp_path / "x.pt", "torchscript", 128)
    assert list(tmp_path.iterdir()) == []
