"""Faces of images in memory, and that files take the same way."""

import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

import ferkit
from ferkit.data.face_set import FaceSet
from ferkit.errors import InputError
from ferkit.faces import detect
from ferkit.faces.template import TEMPLATE


def require_same_crops(crops, others):
    """A network's rounding differs with the images that are searched together, by which a level may turn."""
    np.testing.assert_allclose(np.asarray(crops, np.int16), np.asarray(others, np.int16), atol=2)


@pytest.fixture(scope="module")
def pictures(portraits):
    return [np.asarray(Image.open(portraits[name])) for name in ("astronaut", "hopper", "both")]


@pytest.fixture(scope="module")
def faces(pictures):
    return ferkit.find_faces(pictures, device="cpu")


def test_faces_come_image_by_image_and_left_to_right(faces, pictures):
    assert [(face.image, face.face) for face in faces] == [(0, 1), (1, 1), (2, 1), (2, 2)]
    for face in faces:
        assert (face.crop.shape, face.landmarks.shape, face.box.shape) == ((128, 128, 3), (5, 2), (4,))
        assert 0.9 < face.score <= 1
        assert face.quality.keys() == {"size", "sharpness", "yaw", "pitch", "roll", "clipped"}
        assert face.quality["size"] == pytest.approx(min(face.box[2:] - face.box[:2]), abs=1e-3)
    assert faces[2].box[2] < faces[3].box[0]
    assert ferkit.find_faces(np.zeros((50, 60, 3), np.uint8), device="cpu") == []


def test_files_give_the_same_faces(faces, portraits, tmp_path):
    ferkit.align([portraits[name] for name in ("astronaut", "hopper")], tmp_path / "faces", device="cpu")
    aligned = FaceSet.open(tmp_path / "faces")
    require_same_crops(aligned.crops([0, 1]), [face.crop for face in faces[:2]])
    for row, face in enumerate(faces[:2]):
        np.testing.assert_allclose(aligned.face(row).box, face.box, atol=1e-2)
        assert aligned.face(row).yaw == pytest.approx(face.quality["yaw"], abs=0.01)


def test_landmarks_of_another_detector(faces, pictures):
    points = [faces[0].landmarks[None], faces[1].landmarks, [faces[2].landmarks, faces[3].landmarks]]
    cut = ferkit.find_faces(pictures, landmarks=points)
    assert [(face.image, face.face) for face in cut] == [(0, 1), (1, 1), (2, 1), (2, 2)]
    for own, face in zip(cut, faces, strict=True):
        np.testing.assert_array_equal(own.crop, face.crop)
        assert (own.box, own.score, own.quality["size"]) == (None, None, None)
        assert own.quality["yaw"] == face.quality["yaw"]
    (alone,) = ferkit.find_faces(pictures[0], landmarks=faces[0].landmarks)
    np.testing.assert_array_equal(alone.crop, faces[0].crop)


@pytest.mark.parametrize("landmarks", [TEMPLATE[:4], [TEMPLATE, TEMPLATE], np.full((5, 2), np.nan), [[1, 2], [3, 4]]])
def test_landmarks_of_another_shape_are_refused(pictures, landmarks):
    with pytest.raises(InputError, match="landmarks"):
        ferkit.find_faces(pictures[:1], landmarks=landmarks)


def test_an_encoder_takes_faces_and_images(faces, pictures, run_folder):
    encoder = ferkit.load_encoder(run_folder, device="cpu")
    vectors = encoder.embed(faces)
    assert vectors.shape == (4, 512)
    np.testing.assert_array_equal(encoder.embed(np.stack([face.crop for face in faces])), vectors)
    np.testing.assert_allclose(encoder.embed(faces[1]), vectors[[1]], atol=1e-6)
    np.testing.assert_allclose(encoder.embed([Image.fromarray(face.crop) for face in faces]), vectors, atol=1e-6)
    assert encoder.embed([]).shape == (0, 512)
    for photos in (pictures[0], pictures, pictures[0][None]):
        with pytest.raises(InputError, match="find_faces"):
            encoder.embed(photos)


def test_eight_threads_share_one_detector_and_one_encoder(faces, pictures, run_folder, monkeypatch, capfd, caplog):
    loaded = []

    class Counted(detect.FaceDetector):
        def __init__(self, *arguments, **settings):
            loaded.append(settings)
            super().__init__(*arguments, **settings)

    monkeypatch.setattr(detect, "FaceDetector", Counted)
    detect._detector.cache_clear()
    encoder, threads = ferkit.load_encoder(run_folder, device="cpu"), torch.get_num_threads()
    wanted = encoder.embed(faces)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: encoder.embed(ferkit.find_faces(pictures, device="cpu")), range(8)))
    for vectors in found:
        np.testing.assert_allclose(vectors, wanted, atol=1e-5)
    assert len(loaded) == 1
    assert torch.get_num_threads() == threads
    assert capfd.readouterr() == ("", "")


def test_verbs_print_nothing_and_log_what_they_say(portraits, tmp_path, capfd, caplog):
    with caplog.at_level(logging.INFO, "ferkit"):
        ferkit.align(portraits["astronaut"], tmp_path / "faces", device="cpu")
    assert capfd.readouterr() == ("", "")
    assert any("searching for faces" in record.message for record in caplog.records)
    assert {record.name for record in caplog.records} == {"ferkit"}
