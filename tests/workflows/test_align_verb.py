import shutil

import cv2
import numpy as np
import pytest

from ferkit.data.face_set import FaceSet
from ferkit.errors import InputError, OutputError
from ferkit.workflows.align import align
from samples import contents


def test_photos_become_a_face_set_and_what_failed_is_listed(portraits, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("both", "hopper"):
        shutil.copy(portraits[name], photos)
    (photos / "text.jpg").write_text("not a picture")
    result = align(photos, tmp_path / "faces", min_face=60)
    faces = FaceSet.open(result.path)
    assert (result.faces, len(faces), result.pictures) == (3, 3, 3)
    assert [(face.source, face.face) for face in map(faces.face, range(3))] == [
        (str(photos / "both.png"), 1),
        (str(photos / "both.png"), 2),
        (str(photos / "hopper.png"), 1),
    ]
    assert [source for source, _ in result.unreadable] == [str(photos / "text.jpg")]
    assert "text.jpg" in (result.path / "problems.csv").read_text()
    assert faces.template == "ferkit-128"


def test_larger_crops_show_the_same_faces(portraits, tmp_path):
    usual = FaceSet.open(align(portraits["both"], tmp_path / "usual", min_face=60).path)
    large = FaceSet.open(align(portraits["both"], tmp_path / "large", min_face=60, crop_size=256).path)
    assert (large.size, large.template, len(large)) == (256, "ferkit-128", len(usual))
    shrunk = np.stack([cv2.resize(crop, (128, 128), interpolation=cv2.INTER_AREA) for crop in large.crops(range(2))])
    assert np.abs(shrunk.astype(float) - usual.crops(range(2))).mean() < 6
    for what in ("size", "yaw", "label"):
        assert large.column(what).to_pylist() == usual.column(what).to_pylist()
    sharp = np.array([faces.column("sharpness").to_pylist() for faces in (large, usual)])
    assert np.abs(sharp[0] - sharp[1]).max() < 0.1


def test_a_picture_replaced_under_its_name_size_and_time_is_another_job(
    crop_folder, tmp_path, replace_unseen, listener
):
    folder = crop_folder(2, "crops", "bmp")
    align(folder, tmp_path / "faces")
    again = listener()
    align(folder, tmp_path / "faces", progress=again)
    assert any("complete already" in text for text in again.said)
    replace_unseen(folder / "0.bmp", folder / "1.bmp")
    with pytest.raises(OutputError, match="overwrite=True"):
        align(folder, tmp_path / "faces")


def test_a_folder_of_photos_is_never_the_output(crop_folder, tmp_path):
    folder = crop_folder(2)
    before = contents(folder)
    with pytest.raises(OutputError):
        align(folder, folder, overwrite=True)
    assert contents(folder) == before


def test_a_face_set_is_not_aligned_again(make_face_set, noise_crops, tmp_path):
    with pytest.raises(InputError, match="face set already"):
        align(make_face_set(noise_crops(2)).path, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_real_photos_have_the_faces_that_people_marked(data_dir, tmp_path):
    group, animals = data_dir / "photos/groups/2007_007763.jpg", data_dir / "photos/no-face/dogs.jpg"
    result = align([group, animals], tmp_path / "faces")
    assert 6 <= result.faces <= 8  # seven are marked
    assert result.faceless == [str(animals.resolve())]
