"""Where what is computed once is kept."""

from pathlib import Path

import pytest

from ferkit.data.cache_folder import cache_folder


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({}, "home/.cache/ferkit"),
        ({"XDG_CACHE_HOME": "/var/x"}, "/var/x/ferkit"),
        ({"XDG_CACHE_HOME": "/var/x", "FERKIT_CACHE": "c"}, "c"),
        ({"FERKIT_CACHE": "~/c"}, "home/c"),
    ],
)
def test_the_folder(monkeypatch, variables, folder):
    for name in ("XDG_CACHE_HOME", "FERKIT_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "home", **variables}.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder)
