import numpy as np
import pytest
from PIL import Image

from ferkit.data.images import read_image
from ferkit.faces.detect import Detections, FaceDetector


@pytest.fixture(scope="module")
def detector():
    return FaceDetector("cpu", min_face=60)


@pytest.fixture(scope="module")
def photo(portraits):
    return Image.fromarray(read_image(portraits["astronaut"])).resize((384, 384))


@pytest.fixture(scope="module")
def upright(detector, photo):
    (faces,) = detector.detect([np.asarray(photo)])
    return faces


def turned(photo, faces, degrees):
    """The photo turned against the clock, and where the landmarks of its faces then are."""
    image = photo.rotate(degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(127, 127, 127))
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middles = [(np.array(one.size) - 1) / 2 for one in (photo, image)]
    return np.asarray(image), (faces.landmarks - middles[0]) @ matrix.T + middles[1]


def errors(faces, landmarks, side):
    return np.abs(faces.landmarks[:, None] - landmarks).max(axis=(1, 2, 3)) / side


def test_an_upright_face_stays_as_it_was_found(detector, photo, upright):
    again = detector.verify(np.asarray(photo), upright)
    np.testing.assert_array_equal(again.landmarks, upright.landmarks)
    np.testing.assert_array_equal(again.scores, upright.scores)


@pytest.mark.parametrize("degrees", [45, 105, 165, 195, 255, 345])
def test_every_face_of_a_turned_photo_has_its_landmarks_in_place(detector, photo, upright, degrees):
    image, landmarks = turned(photo, upright, degrees)
    (faces,) = detector.detect([image])
    faces = detector.verify(image, faces)
    if not (faces.upright & (faces.scores > 0.95)).any():
        faces = detector.detect_turned(image)
    side = np.ptp(upright.boxes[0, 1::2])
    assert len(faces) == 1
    assert errors(faces, landmarks, side) < 0.15


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_landmarks_of_a_turned_face_are_found_from_wrong_ones(detector, photo, upright, quarters):
    image, landmarks = turned(photo, upright, 90 * quarters)
    box = np.hstack([landmarks[0].mean(axis=0) - 60, landmarks[0].mean(axis=0) + 60])
    wrong = (upright.landmarks - upright.landmarks.mean(axis=1, keepdims=True)) + landmarks.mean(axis=1, keepdims=True)
    faces = detector.verify(image, Detections(box[None], np.float32([0.9]), wrong))
    assert len(faces) == 1
    assert errors(faces, landmarks, np.ptp(upright.boxes[0, 1::2])) < 0.15


def test_what_is_no_face_is_left_out(detector, upright):
    noise = np.random.default_rng(0).integers(0, 256, (384, 384, 3), np.uint8)
    assert not len(detector.verify(noise, upright))
    assert not len(detector.detect_turned(noise))
