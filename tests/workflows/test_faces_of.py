import os
import shutil

import numpy as np
import pytest
from PIL import Image

from ferkit.data.sources import Picture
from ferkit.errors import InputError, MissingPathError, NoFaceError, NoImagesError
from ferkit.faces.detect import Detections
from ferkit.faces.template import TEMPLATE
from ferkit.progress import Silent
from ferkit.workflows import faces_of
from ferkit.workflows.faces_of import NO_FACE, open_faces, open_pictures, require_faces, source_paths, split_problems
from ferkit.workflows.reading import Decoded

FIVE = np.array([[40, 40], [60, 40], [50, 52], [42, 64], [58, 64]], np.float32)


def stream_of(*paths, aligned=None, min_face=60, progress=None):
    return open_pictures(paths, aligned=aligned, device="cpu", min_face=min_face, progress=progress or Silent())


class FixedDetector:
    """Finds in each image what it was told to."""

    def __init__(self, *answers):
        self.answers = answers

    def detect(self, images):
        assert len(images) == len(self.answers)
        return self.answers


def found(*lefts):
    count = len(lefts)
    boxes = np.array([[left, 10, left + 50, 70] for left in lefts], np.float32).reshape(count, 4)
    landmarks = FIVE + np.array([[left, 0] for left in lefts], np.float32).reshape(count, 1, 2)
    return Detections(boxes, np.linspace(0.99, 0.9, count, dtype=np.float32), landmarks)


def photo(name, scale=1, problem=None):
    pixels = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    return Decoded(Picture(name, label="glad", identity="Ann"), pixels, scale, problem)


def test_faces_are_numbered_from_left_to_right_whatever_their_scores():
    batch = faces_of._photo_batch([photo("a")], FixedDetector(found(150, 0, 80)))
    assert [face.face for face in batch.faces] == [1, 2, 3]
    assert [face.box[0] for face in batch.faces] == [0, 80, 150]
    assert [face.score for face in batch.faces] == pytest.approx([0.945, 0.9, 0.99])
    assert {(face.label, face.identity) for face in batch.faces} == {("glad", "Ann")}


def test_boxes_and_landmarks_are_told_in_pixels_of_the_original():
    face = faces_of._photo_batch([photo("a", scale=4)], FixedDetector(found(0))).faces[0]
    assert face.box == (1.5, 41.5, 201.5, 281.5)  # (v + 0.5) * 4 - 0.5
    assert face.landmarks[:2] == (161.5, 161.5)


def test_a_bad_picture_is_listed_and_harms_no_other():
    group = [photo("good"), photo("torn", problem="cut short"), photo("tree"), photo("also good")]
    batch = faces_of._photo_batch(group, FixedDetector(found(0), found(), found(20)))
    assert [face.source for face in batch.faces] == ["good", "also good"]
    assert batch.problems == [("torn", "cut short"), ("tree", NO_FACE)]
    assert (batch.pictures, batch.crops.shape) == (4, (2, 128, 128, 3))


def test_a_batch_without_any_face_has_no_crops():
    batch = faces_of._photo_batch([photo("torn", problem="cut short")], FixedDetector())
    assert (batch.crops.shape, batch.faces) == ((0, 128, 128, 3), [])


def test_a_portrait_is_found_and_brought_onto_the_template(portraits):
    from ferkit.faces.detect import FaceDetector

    (batch,) = stream_of(portraits["hopper"], aligned=False).batches()
    assert len(batch.faces) == 1
    again = FaceDetector().detect([batch.crops[0]])[0]
    assert np.abs(again.landmarks[0] - TEMPLATE).max() < 6


def test_a_photo_decoded_smaller_tells_its_face_in_its_own_pixels(portraits, tmp_path):
    small = Image.open(portraits["hopper"])
    small.resize((small.width * 6, small.height * 6)).save(tmp_path / "large.jpg", quality=90)
    paths = (portraits["hopper"], tmp_path / "large.jpg")
    faces = [next(stream_of(path, aligned=False, min_face=0.2).batches()).faces[0] for path in paths]
    expected = (np.array(faces[0].landmarks) + 0.5) * 6 - 0.5
    assert np.abs(np.array(faces[1].landmarks) - expected).max() < 6 * 6  # six pixels of the small one


def test_crops_are_recognised_and_that_is_said(crop_folder, portraits, listener):
    about_crops, about_photos, told = listener(), listener(), listener()
    assert stream_of(crop_folder(3), progress=about_crops).aligned
    assert not stream_of(portraits["hopper"], progress=about_photos).aligned
    stream_of(portraits["hopper"], aligned=True, progress=told)
    assert ["--detect" in text for text in about_crops.said] == [True]
    assert ["--aligned" in text for text in about_photos.said] == [True]
    assert told.said == []


def test_crops_come_as_they_are_with_nothing_measured(crop_folder, noise_crops):
    (batch,) = stream_of(crop_folder(3)).batches()
    np.testing.assert_array_equal(batch.crops, noise_crops(3))
    assert {(face.face, face.box, face.landmarks, face.score) for face in batch.faces} == {(1, None, None, None)}


def test_a_stream_goes_on_from_the_end_of_any_batch(crop_folder, monkeypatch):
    monkeypatch.setattr(faces_of, "_CROPS_A_BATCH", 2)
    stream = stream_of(crop_folder(7))
    batches = list(stream.batches())
    assert [batch.pictures for batch in batches] == [2, 2, 2, 1]
    assert [batch.faces for batch in stream.batches(4)] == [batch.faces for batch in batches[2:]]


def test_a_face_set_streams_its_rows(make_face_set, noise_crops, monkeypatch):
    monkeypatch.setattr(faces_of, "_ROWS_A_BATCH", 2)
    faces = make_face_set(noise_crops(5))
    stream = open_faces([faces.path], aligned=None, device=None, min_face=20, progress=Silent())
    np.testing.assert_array_equal(np.concatenate([batch.crops for batch in stream.batches(2)]), noise_crops(5)[2:])
    assert [face for batch in stream.batches() for face in batch.faces] == [faces.face(row) for row in range(5)]


def test_a_face_set_is_not_mixed_with_photos(make_face_set, noise_crops, portraits):
    sources = [portraits["hopper"], make_face_set(noise_crops(2)).path]
    with pytest.raises(InputError, match="give it alone"):
        open_faces(sources, aligned=None, device=None, min_face=20, progress=Silent())


def test_the_fingerprint_tells_other_pictures_and_settings(crop_folder, tmp_path):
    folder = crop_folder(3)
    before = stream_of(folder).fingerprint
    assert stream_of(folder).fingerprint == before
    others = {stream_of(folder, aligned=False).fingerprint, stream_of(folder, min_face=30).fingerprint}
    os.utime(folder / "1.png", (1, 1))
    others.add(stream_of(folder).fingerprint)
    shutil.copy(folder / "0.png", folder / "9.png")
    others.add(stream_of(folder).fingerprint)
    assert len(others - {before}) == 4


def test_a_face_set_made_anew_has_another_fingerprint(make_face_set, noise_crops):
    def fingerprint(faces):
        return open_faces([faces.path], aligned=None, device=None, min_face=20, progress=Silent()).fingerprint

    assert fingerprint(make_face_set(noise_crops(3))) != fingerprint(make_face_set(noise_crops(4)))


def test_missing_sources_are_told_before_any_work(tmp_path):
    with pytest.raises(MissingPathError):
        stream_of(tmp_path / "nowhere")
    with pytest.raises(NoImagesError):
        stream_of(tmp_path)


@pytest.mark.parametrize("device", ["nonsense", "cuda:99"])
def test_an_absent_device_is_an_input_error(portraits, device):
    stream = open_pictures([portraits["hopper"]], aligned=False, device=device, min_face=20, progress=Silent())
    with pytest.raises(InputError, match=device):
        next(stream.batches())


def test_only_a_job_without_any_face_fails(tmp_path):
    require_faces(1, [("a", NO_FACE)], [tmp_path])
    with pytest.raises(NoFaceError, match="--aligned"):
        require_faces(0, [("a", "cut short"), ("b", NO_FACE)], [tmp_path])
    with pytest.raises(NoImagesError, match="a: cut short"):
        require_faces(0, [("a", "cut short")], [tmp_path])


def test_problems_part_into_faceless_and_unreadable():
    problems = [("a", NO_FACE), ("b", "cut short"), ("c", NO_FACE)]
    assert split_problems(problems) == (["a", "c"], [("b", "cut short")])


def test_a_lone_path_need_not_be_a_list(tmp_path):
    assert source_paths(str(tmp_path)) == source_paths(tmp_path) == source_paths([tmp_path]) == [tmp_path]
