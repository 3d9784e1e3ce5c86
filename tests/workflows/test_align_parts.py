import numpy as np
import pytest

import ferkit
from ferkit.data.face_set import FaceSet
from ferkit.errors import BusyError, InputError, NoFaceError, OutputError
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
    with pytest.raises(OutputError, match="'s3://bucket/faces' is none"):
        align_parts(photos, "s3://bucket/faces", parts=2, **SETTINGS)
    with pytest.raises(InputError, match="7/64"):
        ferkit.align(photos, tmp_path / "more", part="7", **SETTINGS)


def test_shards_are_copied_where_they_cannot_be_linked(photos, tmp_path, monkeypatch):
    def refuse(self, target):
        raise PermissionError

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    align_parts(photos, tmp_path / "faces", parts=2, **SETTINGS)
    assert FaceSet.open(tmp_path / "faces").crops(range(7)).shape == (7, 128, 128, 3)
