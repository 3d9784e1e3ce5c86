import sys
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

import ferkit.cli


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def ferkit_command(monkeypatch, capsys, tmp_path):
    """Run ``ferkit ...`` through its real entry, in an empty folder; what it left and said."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["ferkit", *map(str, arguments)])
        capsys.readouterr()
        try:
            ferkit.cli.main()
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        return Outcome(code, *capsys.readouterr())

    return run


@pytest.fixture
def crops(tmp_path):
    """Five face crops that are pure noise, in crops/."""
    folder = tmp_path / "crops"
    folder.mkdir()
    for number, pixels in enumerate(np.random.default_rng(0).integers(0, 256, (5, 128, 128, 3), np.uint8)):
        Image.fromarray(pixels).save(folder / f"{number}.png", compress_level=1)
    return folder
