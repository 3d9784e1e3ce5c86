import os
import shutil

import cv2
import numpy as np
import pytest

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.face_set import FaceSet
from ferkit.data.faces import crop_sha256
from ferkit.data.sources import video
from ferkit.pipeline.recrop import Lost, row_crops
from ferkit.workflows.align import align
from ferkit.workflows.embed import embed
from samples import write_video


def embedded(source, tmp_path, run_folder, **settings):
    embed(source, tmp_path / "emb.npy", encoder=run_folder, device="cpu", **settings)
    return EmbeddingSet.open(tmp_path / "emb.npy")


def hashes(crops):
    return [crop_sha256(crop) for crop in crops]


def test_faces_are_cut_from_their_photos_again(portraits, tmp_path, run_folder):
    made = embedded([portraits["both"], portraits["hopper"]], tmp_path, run_folder, min_face=60)
    assert hashes(row_crops(made, [2, 0, 1])) == [made.face(row).sha256 for row in (2, 0, 1)]


def test_a_face_set_gives_its_crops_even_when_the_photos_are_gone(make_face_set, noise_crops, tmp_path, run_folder):
    crops = noise_crops(3)
    made = embedded(make_face_set(crops).path, tmp_path, run_folder)
    np.testing.assert_array_equal(row_crops(made, [1, 1, 2]), crops[[1, 1, 2]])


def test_a_face_set_made_anew_is_not_taken_for_the_old_one(crop_folder, noise_crops, tmp_path, run_folder):
    folder = crop_folder(3)
    align(folder, tmp_path / "faces")
    made = embedded(tmp_path / "faces", tmp_path, run_folder)
    (folder / "0.png").unlink()
    align(folder, tmp_path / "faces", overwrite=True)  # every row moves up by one
    assert len(FaceSet.open(tmp_path / "faces")) == 2
    np.testing.assert_array_equal(row_crops(made, [1, 2]), noise_crops(3)[1:])
    assert row_crops(made, [0]) == [Lost.MISSING]


def test_a_damaged_face_set_falls_back_on_the_photos(crop_folder, noise_crops, tmp_path, run_folder):
    align(crop_folder(2), tmp_path / "faces")
    made = embedded(tmp_path / "faces", tmp_path, run_folder)
    (tmp_path / "faces" / "meta.json").unlink()
    np.testing.assert_array_equal(row_crops(made, [0, 1]), noise_crops(2))
    shutil.rmtree(tmp_path / "crops")
    assert row_crops(made, [0, 1]) == [Lost.MISSING] * 2


def test_a_picture_that_was_replaced_is_not_shown_under_the_old_vector(crop_folder, noise_crops, tmp_path, run_folder):
    folder = crop_folder(2)
    made = embedded(folder, tmp_path, run_folder)
    before = (folder / "0.png").stat()
    (folder / "1.png").rename(folder / "0.png")
    os.utime(folder / "0.png", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert row_crops(made, [0, 1]) == [Lost.CHANGED, Lost.MISSING]


@pytest.fixture
def crop_video(tmp_path, noise_crops):
    """Eight frames of 128 px."""
    return write_video(tmp_path / "a.avi", [cv2.blur(crop, (9, 9)) for crop in noise_crops(8)])


def test_all_frames_of_a_video_are_read_in_one_pass(crop_video, tmp_path, run_folder, monkeypatch):
    made = embedded(crop_video, tmp_path, run_folder, aligned=True, fps=0)
    passes, opened = [], video._open_capture
    monkeypatch.setattr(video, "_open_capture", lambda source: passes.append(source) or opened(source))
    assert hashes(row_crops(made, [5, 1, 3, 1])) == [made.face(row).sha256 for row in (5, 1, 3, 1)]
    assert passes == [str(crop_video)]
    crop_video.write_bytes(b"")
    assert row_crops(made, [2]) == [Lost.MISSING]
