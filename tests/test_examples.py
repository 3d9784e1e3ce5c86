"""The scripts under examples/ run as their texts say."""

import re
import runpy
import shutil
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def photos(tmp_path, monkeypatch, portraits):
    """A folder with two portraits, in an otherwise empty current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name, portrait in {"collins": "astronaut", "hopper": "hopper"}.items():
        shutil.copy(portraits[portrait], tmp_path / "photos" / f"{name}.png")
    return tmp_path / "photos"


def run(name, *arguments, monkeypatch):
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_retrieve_same_expression(photos, monkeypatch, capsys):
    montage = photos.parent / "found.png"
    run("retrieve_same_expression.py", photos, photos / "hopper.png", "--montage", montage, monkeypatch=monkeypatch)

    told = capsys.readouterr().out
    assert "2 faces embedded" in told
    assert re.search(r"^ +1  -?\d\.\d{3}  .*collins.png", told, re.M)  # the only face that is not the query
    assert montage.exists()


def test_pretrain_own_faces_goes_on_where_it_was(photos, monkeypatch, capsys):
    arguments = (photos, "--epochs", 2, "--batch-size", 2, "--out", "own")
    run("pretrain_own_faces.py", *arguments, monkeypatch=monkeypatch)
    first = capsys.readouterr().out
    run("pretrain_own_faces.py", *arguments, monkeypatch=monkeypatch)
    again = capsys.readouterr().out

    assert "2 faces on 2 pictures, 0 without a face" in first
    assert "2 steps in" in first
    assert "vectors of 512" in first
    assert "faces on" not in again  # the face set was there already
    assert "vectors of 512" in again


def test_every_example_is_listed():
    listed = set(re.findall(r"\((\w+\.py)\)", (EXAMPLES / "README.md").read_text(encoding="utf-8")))

    assert listed == {path.name for path in EXAMPLES.glob("*.py")}
