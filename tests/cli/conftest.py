import sys
from typing import NamedTuple

import pytest

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
def crops(crop_folder):
    """Five face crops that are pure noise, in crops/."""
    return crop_folder(5)
