import errno
import os

import numpy as np
import pytest

from ferkit import atomic
from ferkit.atomic import atomic_path, put_in_place
from ferkit.errors import OutputError
from samples import full_disk


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_target_appears_on_leaving(tmp_path):
    target = tmp_path / "deep" / "er" / "x.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("new")
        assert temporary.parent == target.parent
        assert temporary.suffix == ".txt"
        assert not target.exists()
    assert target.read_text() == "new"
    assert names(target.parent) == ["x.txt"]


def write_and_raise(target, error):
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError("own"), KeyboardInterrupt()])
def test_an_error_in_the_block_changes_nothing(tmp_path, error):
    (tmp_path / "x").write_text("old")
    with pytest.raises(type(error)):
        write_and_raise(tmp_path / "x", error)
    assert (tmp_path / "x").read_text() == "old"
    assert names(tmp_path) == ["x"]


def test_a_full_disk_changes_nothing(tmp_path):
    (tmp_path / "x").write_text("old")
    with (
        full_disk(),
        pytest.raises(OutputError, match=r"x': No space left on device"),
        atomic_path(tmp_path / "x") as temporary,
    ):
        temporary.write_text("half")
    assert (tmp_path / "x").read_text() == "old"
    assert names(tmp_path) == ["x"]


def test_a_file_that_only_partly_fits(tmp_path, file_size_limit):
    with (
        file_size_limit(10_000),
        pytest.raises(OutputError, match="not all of it fits"),
        atomic_path(tmp_path / "x.npy") as temporary,
    ):
        np.save(temporary, np.zeros(100_000))
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_swapped_in_gives_way_to_the_old_one(tmp_path, monkeypatch):
    old, new = tmp_path / "set", tmp_path / "set.partial"
    for folder, content in ((old, "old"), (new, "new")):
        folder.mkdir()
        (folder / "file").write_text(content)
    rename = type(new).rename

    def failing(self, target):
        if self == new:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(atomic, "_exchanged", lambda one, other: False)
    monkeypatch.setattr(type(new), "rename", failing)
    with pytest.raises(OSError, match="Input/output"):
        put_in_place(new, old)
    assert (old / "file").read_text() == "old"
    assert names(tmp_path) == ["set", "set.partial"]


def test_a_device_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OutputError, match="is a device"), atomic_path(tmp_path / "pipe") as temporary:
        temporary.write_text("never")
    assert names(tmp_path) == ["pipe"]
