from pathlib import Path

import numpy as np
import pytest

import ferkit
from ferkit.data.face_set import FaceSet
from ferkit.data.stores import driver_mark
from ferkit.errors import BusyError, InputError, NoFaceError, OutputError, SetError
from ferkit.locks import output_lock
from ferkit.workflows.align import align, align_parts

SETTINGS = {"aligned": True, "device": "cpu"}


@pytest.fixture
def photos(crop_folder):
    """Seven crops, and one file that is none."""
    folder = crop_folder(7)
    (folder / "5.torn.png").write_bytes(b"")
    return folder


def test_parts_become_the_face_set_of_one_run(photos, tmp_path):
    whole = align(photos, tmp_path / "faces", **SETTINGS)
    result = align_parts(photos, tmp_path / "many", parts=3, **SETTINGS)
    assert (result.faces, result.pictures, result.parts, result.made) == (7, 8, 3, 3)
    assert result.unreadable == whole.unreadable
    one, many = FaceSet.open(tmp_path / "faces"), FaceSet.open(tmp_path / "many")
    assert many.table.equals(one.table)
    np.testing.assert_array_equal(many.crops(range(7)), one.crops(range(7)))
    assert (tmp_path / "many" / "problems.csv").read_bytes() == (tmp_path / "faces" / "problems.csv").read_bytes()
    assert not (tmp_path / "many.parts").exists()
    again = align_parts(photos, tmp_path / "many", parts=3, **SETTINGS)
    assert (again.faces, again.made, again.unreadable) == (7, 0, whole.unreadable)


def test_a_face_set_in_a_store_is_that_of_one_run_and_every_reader_takes_it(
    store, photos, run_folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("FERKIT_CACHE", str(tmp_path / "cache"))
    align(photos, tmp_path / "faces", **SETTINGS)
    align(photos, "memory://out/faces", part="2/3", **SETTINGS)
    monkeypatch.setenv("FERKIT_CACHE", str(tmp_path / "elsewhere"))  # another machine
    result = align_parts(photos, "memory://out/faces", parts=3, **SETTINGS)
    assert (result.faces, result.made, store.find("/out/faces.parts")) == (7, 2, [])
    assert align(photos, "memory://out/whole", **SETTINGS).faces == 7
    monkeypatch.setenv("FERKIT_CACHE", str(tmp_path / "third"))
    one = FaceSet.open(tmp_path / "faces")
    for name in ("faces", "whole"):
        other = FaceSet.open(f"memory://out/{name}")
        assert other.table.equals(one.table)
        np.testing.assert_array_equal(other.crops(range(7)), one.crops(range(7)))
    assert ferkit.embed("memory://out/faces", tmp_path / "emb.npy", encoder=run_folder, device="cpu").faces == 7
    assert align_parts(photos, "memory://out/faces", parts=3, **SETTINGS).made == 0


@pytest.mark.filterwarnings("ignore")
def test_s3_takes_the_parts_of_a_face_set_from_one_driver_at_a_time(bucket, photos, run_folder, tmp_path, monkeypatch):
    bucket.put(str(photos), "faces/crops", recursive=True)
    align(photos, tmp_path / "faces", **SETTINGS)
    monkeypatch.setenv("FERKIT_CACHE", str(tmp_path / "cache"))
    align("s3://faces/crops", "s3://faces/set", part="2/3", **SETTINGS)
    monkeypatch.setenv("FERKIT_CACHE", str(tmp_path / "elsewhere"))  # another machine
    with driver_mark(Path("s3://faces/set.parts")), monkeypatch.context() as patch:
        patch.setattr("socket.gethostname", lambda: "elsewhere")
        with pytest.raises(BusyError, match="if it has died"):
            align_parts("s3://faces/crops", "s3://faces/set", parts=3, **SETTINGS)
    result = align_parts("s3://faces/crops", "s3://faces/set", parts=3, **SETTINGS)
    assert (result.faces, result.made, bucket.find("faces/set.parts")) == (7, 2, [])
    one, many = FaceSet.open(tmp_path / "faces"), FaceSet.open("s3://faces/set")
    np.testing.assert_array_equal(many.crops(range(7)), one.crops(range(7)))
    assert ferkit.embed("s3://faces/set", "s3://faces/emb.npy", encoder=run_folder, device="cpu").faces == 7


def test_an_output_in_a_store_replaces_nothing_unasked(store, photos, tmp_path, monkeypatch):
    monkeypatch.setenv("FERKIT_CACHE", str(tmp_path / "cache"))
    store.pipe_file("/out/photos/0.png", b"a photo")
    with pytest.raises(OutputError, match=r"holds '0\.png', which is no part of a face set"):
        align(photos, "memory://out/photos", **SETTINGS)
    align(photos, "memory://out/faces", **SETTINGS)
    (photos / "6.png").unlink()
    monkeypatch.setenv("FERKIT_CACHE", str(tmp_path / "elsewhere"))
    with pytest.raises(OutputError, match="already holds a face set"):
        align(photos, "memory://out/faces", **SETTINGS)
    assert align(photos, "memory://out/faces", overwrite=True, **SETTINGS).faces == 6
    monkeypatch.setenv("FERKIT_CACHE", str(tmp_path / "cache"))  # whose copy is of the older one
    assert len(FaceSet.open("memory://out/faces")) == 6
    with pytest.raises(SetError, match="is not a face set"):
        FaceSet.open("memory://out/nothing")


def test_a_part_without_faces_is_one_and_no_face_at_all_is_told(photos, tmp_path):
    assert align_parts(photos, tmp_path / "faces", parts=12, **SETTINGS).faces == 7
    with pytest.raises(NoFaceError, match="min_size=500"):
        align_parts(photos, tmp_path / "none", parts=2, min_size=500, **SETTINGS)
    assert not (tmp_path / "none").exists()


def test_what_is_in_the_way_is_told_before_any_work(photos, tmp_path):
    align(photos, tmp_path / "faces", **SETTINGS)
    (photos / "6.png").unlink()
    with pytest.raises(OutputError, match="overwrite=True"):
        align_parts(photos, tmp_path / "faces", parts=2, **SETTINGS)
    assert not (tmp_path / "faces.parts").exists()
    assert align_parts(photos, tmp_path / "faces", parts=2, overwrite=True, **SETTINGS).faces == 6
    with output_lock(tmp_path / "more.parts"), pytest.raises(BusyError):
        align_parts(photos, tmp_path / "more", parts=2, **SETTINGS)
    with pytest.raises(OutputError, match="'memory://out/two' is in a store"):
        ferkit.merge_faces([tmp_path / "faces"], "memory://out/two")
    with pytest.raises(InputError, match="7/64"):
        ferkit.align(photos, tmp_path / "more", part="7", **SETTINGS)


def test_shards_are_copied_where_they_cannot_be_linked(photos, tmp_path, monkeypatch):
    def refuse(self, target):
        raise PermissionError

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    align_parts(photos, tmp_path / "faces", parts=2, **SETTINGS)
    assert FaceSet.open(tmp_path / "faces").crops(range(7)).shape == (7, 128, 128, 3)
