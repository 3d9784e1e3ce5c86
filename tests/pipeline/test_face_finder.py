from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from ferkit.data.filters import FaceFilter
from ferkit.data.sources import Picture
from ferkit.faces.align import align_faces
from ferkit.faces.detect import Detections
from ferkit.pipeline.decoding import Decoded
from ferkit.pipeline.face_finder import FILTERED, NO_FACE, batch_of, find_faces, take_crops

FIVE = np.array([[40, 40], [60, 40], [50, 52], [42, 64], [58, 64]], np.float32)
NO_LIMIT = FaceFilter()


class FixedDetector:
    """Finds in each image what it was told to."""

    def __init__(self, *answers):
        self.answers = answers

    threads = 1

    def detect(self, images, scales):
        assert len(images) == len(scales) == len(self.answers)
        return self.answers

    def detect_turned(self, image):
        return found()

    def verify(self, image, faces, *, smaller):
        return faces


def found(*lefts, wide=50):
    """Faces 60 high whose boxes begin at these columns, of falling score."""
    count = len(lefts)
    boxes = np.array([[left, 10, left + wide, 70] for left in lefts], np.float32).reshape(count, 4)
    landmarks = FIVE + np.array([[left, 0] for left in lefts], np.float32).reshape(count, 1, 2)
    return Detections(boxes, np.linspace(0.99, 0.9, count, dtype=np.float32), landmarks)


def photo(name, scale=1, problem=None, **known):
    pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    return Decoded(Picture(name, label="glad", identity="Ann", **known), pixels, scale, problem)


def batch(group, *answers, which="all", wanted=NO_LIMIT):
    return batch_of(find_faces(group, FixedDetector(*answers), which), wanted)


def test_faces_are_numbered_from_left_to_right_whatever_their_scores():
    faces = batch([photo("a")], found(150, 0, 80)).faces
    assert [face.face for face in faces] == [1, 2, 3]
    assert [face.box[0] for face in faces] == [0, 80, 150]
    assert [face.score for face in faces] == pytest.approx([0.945, 0.9, 0.99])
    assert {(face.label, face.identity) for face in faces} == {("glad", "Ann")}


def test_boxes_landmarks_and_sizes_are_told_in_pixels_of_the_original():
    face = batch([photo("a", scale=4)], found(0).rescaled(3)).faces[0]
    assert face.box == (5.5, 125.5, 605.5, 845.5)  # (v + 0.5) * 12 - 0.5
    assert face.landmarks[:2] == (485.5, 485.5)
    assert face.size == 600  # the shorter side, 50, times 12
    assert (face.roll, face.clipped) == (pytest.approx(0, abs=1e-3), pytest.approx(0.3, abs=0.3))


def test_a_face_that_the_searched_copy_shows_small_is_cut_from_a_larger_one():
    pixels = np.random.default_rng(0).integers(0, 256, (800, 1200, 3), np.uint8)
    png = BytesIO()
    Image.fromarray(pixels).save(png, "PNG")
    small, large = found(0), found(60).rescaled(4)
    item = Decoded(Picture("a", fetch=png.getvalue), pixels[::2, ::2].copy(), 2)
    made = batch([item], small + large)
    points = small.rescaled(2).landmarks
    np.testing.assert_array_equal(made.crops[0], align_faces(pixels, points)[0])  # eyes 40 px apart: all there is
    np.testing.assert_array_equal(made.crops[1], align_faces(item.image, large.landmarks)[0])  # 160: half will do
    assert made.faces[0].landmarks == tuple(points.ravel())


def test_a_bad_picture_is_listed_and_harms_no_other():
    group = [photo("good"), photo("torn", problem="cut short"), photo("tree"), photo("also good")]
    made = batch(group, found(0), found(), found(20))
    assert [face.source for face in made.faces] == ["good", "also good"]
    assert made.problems == [("torn", "cut short"), ("tree", NO_FACE)]
    assert (made.pictures, made.crops.shape) == (4, (2, 128, 128, 3))


def test_a_box_of_the_source_names_the_face():
    meant = photo("a", box=(75, 15, 135, 75))
    assert [face.face for face in batch([meant], found(150, 0, 80), which="largest").faces] == [2]
    shrunk = photo("a", scale=2, box=(450, 90, 810, 450))
    assert [face.face for face in batch([shrunk], found(150, 0, 80).rescaled(3)).faces] == [2]
    nobody = batch([photo("a", box=(220, 120, 290, 190))], found(150, 0, 80))
    assert [problem.what for problem in nobody.problems] == [f"{NO_FACE} where the source says"]


def test_faces_that_do_not_pass_are_left_out_and_an_emptied_picture_is_listed():
    group = [photo("large"), photo("small"), photo("both")]
    landmarks = np.stack([FIVE, FIVE + np.float32([100, 0])])
    mixed = Detections(np.float32([[0, 0, 50, 60], [100, 0, 120, 60]]), np.float32([0.9, 0.8]), landmarks)
    made = batch(group, found(0), found(0, wide=20), mixed, wanted=FaceFilter(min_size=40))
    assert [(face.source, face.face) for face in made.faces] == [("large", 1), ("both", 1)]
    assert made.problems == [("small", f"{FILTERED}--min-size 40")]
    assert len(made.crops) == 2


def test_crops_are_taken_as_they_are_and_their_size_is_the_originals():
    pixels = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    (taken,) = take_crops([Decoded(Picture("a"), pixels, 0.375)])
    (face,) = taken.faces
    np.testing.assert_array_equal(taken.crops[0], pixels)
    assert (face.size, face.box, face.landmarks, face.score, face.yaw) == (48, None, None, None, None)
    assert face.sharpness > 0
