import os
import shutil

import numpy as np
import pytest
from PIL import Image

from ferkit.errors import InputError
from ferkit.pipeline import face_stream as faces_of
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.face_stream import open_faces, open_pictures
from ferkit.progress import Silent


def stream_of(*paths, progress=None, **options):
    return open_pictures(paths, FaceOptions(**{"min_face": 60, **options}), "cpu", progress or Silent())


def set_stream(*paths, progress=None, **options):
    return open_faces(paths, FaceOptions(**options), None, progress or Silent())


def test_a_photo_decoded_smaller_tells_its_face_in_its_own_pixels(portraits, tmp_path):
    small = Image.open(portraits["hopper"])
    small.resize((small.width * 6, small.height * 6)).save(tmp_path / "large.jpg", quality=90)
    paths = (portraits["hopper"], tmp_path / "large.jpg")
    faces = [next(stream_of(path, aligned=False, min_face=0.2).batches()).faces[0] for path in paths]
    expected = (np.array(faces[0].landmarks) + 0.5) * 6 - 0.5
    assert np.abs(np.array(faces[1].landmarks) - expected).max() < 6 * 6  # six pixels of the small one


def test_crops_are_recognised_and_that_is_said(crop_folder, portraits, listener):
    about_crops, about_photos, told = listener(), listener(), listener()
    stream_of(crop_folder(3), progress=about_crops)
    stream_of(portraits["hopper"], progress=about_photos)
    stream_of(portraits["hopper"], aligned=True, progress=told)
    assert [text.partition(":")[0] for text in about_crops.said] == ["no labels", "small and square"]
    assert ["--aligned" in text for text in about_photos.said] == [True]
    assert told.said == []


def test_each_picture_is_a_crop_or_a_photo_for_itself(crop_folder, portraits, listener):
    told = listener()
    stream = stream_of(crop_folder(2), portraits["hopper"], crop_folder(1, "more"), progress=told)
    batches = list(stream.batches())
    assert [batch.pictures for batch in batches] == [2, 1, 1]
    assert [[face.box is None for face in batch.faces] for batch in batches] == [[True, True], [False], [True]]
    assert [batch.faces for batch in stream.batches(2)] == [batch.faces for batch in batches[1:]]
    assert "others searched" in told.said[-1]


def test_a_face_set_streams_its_rows(make_face_set, noise_crops, monkeypatch):
    monkeypatch.setattr(faces_of, "_ROWS_A_BATCH", 2)
    faces = make_face_set(noise_crops(5))
    stream = set_stream(faces.path)
    np.testing.assert_array_equal(np.concatenate([batch.crops for batch in stream.batches(2)]), noise_crops(5)[2:])
    assert [face for batch in stream.batches() for face in batch.faces] == [faces.face(row) for row in range(5)]


def test_a_face_set_is_not_mixed_with_photos(make_face_set, noise_crops, portraits):
    sources = [portraits["hopper"], make_face_set(noise_crops(2)).path]
    with pytest.raises(InputError, match="give it alone"):
        set_stream(*sources)


def test_the_fingerprint_tells_other_pictures_and_settings(crop_folder, replace_unseen):
    def fingerprint(**options):
        return stream_of(folder, **options).read_fingerprint(Silent())

    folder = crop_folder(3, "crops", "bmp")
    before = fingerprint()
    os.utime(folder / "1.bmp", (1, 1))
    assert fingerprint() == before
    others = {fingerprint(aligned=False), fingerprint(min_face=30)}
    replace_unseen(folder / "1.bmp", folder / "2.bmp")
    others.add(fingerprint())
    shutil.copy(folder / "0.bmp", folder / "9.bmp")
    others.add(fingerprint())
    assert len(others - {before}) == 4


def test_a_set_may_be_filtered(make_face_set, noise_crops, listener):
    faces = make_face_set(noise_crops(5), size=lambda row: [10, 50, None, 90, 40][row])
    told = listener()
    stream = set_stream(faces.path, min_size=40, progress=told)
    assert [face.source for batch in stream.batches() for face in batch.faces] == [
        f"/photos/{n}.jpg" for n in (1, 3, 4)
    ]
    np.testing.assert_array_equal(next(stream.batches()).crops, noise_crops(5)[[1, 3, 4]])
    assert told.said == ["3 of 5 faces pass --min-size 40"]
    assert stream.listing != set_stream(faces.path).listing
    with pytest.raises(InputError, match=r"none of the 5 faces.*min_size=100"):
        set_stream(faces.path, min_size=100)
