import json

import cv2
import numpy as np
import pytest
import torch

from ferkit.faces.detect import FaceDetector
from ferkit.faces.follow import FrameFinder
from ferkit.ops.boxes import box_iou

FPS = 25


@pytest.fixture(scope="module")
def detector():
    return FaceDetector(min_face=40)


@pytest.fixture
def counted(detector, monkeypatch):
    """How many frames were searched wholly."""
    count, search = [], detector.detect

    def detect(images):
        count.extend(images)
        return search(images)

    monkeypatch.setattr(detector, "detect", detect)
    return count


@pytest.fixture(scope="module")
def heads(portraits):
    """Two portraits of 120 px."""
    return [
        cv2.resize(cv2.imread(str(portraits[name]))[top : top + side, left : left + side, ::-1], (120, 120))
        for name, top, left, side in (("astronaut", 0, 100, 250), ("hopper", 0, 130, 300))
    ]


def scene(*placed):
    """A frame of 200 x 420 with heads at (x, y)."""
    frame = np.full((200, 420, 3), 100, np.uint8)
    for head, (x, y) in placed:
        frame[y : y + 120, x : x + 120] = head
    return frame


def moving(head, frames, speed=3):
    return [scene((head, (10 + speed * number, 30 + number % 3))) for number in range(frames)]


def found_by(detector, frames, size=1000, state=None, first=0):
    finder, faces = FrameFinder(detector, state), []
    for place in range(0, len(frames), size):
        part = frames[place : place + size]
        faces += finder.find([(first + place + number) / FPS for number in range(len(part))], part)
    return faces, finder.state


def assert_like(faces, expected):
    """The same faces: IoU of .8 and more, landmarks within 3 % of the box."""
    for frame, (these, those) in enumerate(zip(faces, expected, strict=True)):
        assert len(these) == len(those), f"frame {frame}"
        if not len(those):
            continue
        overlap = box_iou(torch.from_numpy(these.boxes), torch.from_numpy(those.boxes))
        best, partners = overlap.max(dim=0)
        assert best.min() > 0.8
        side = (those.boxes[:, 2] - those.boxes[:, 0])[:, None]
        apart = np.linalg.norm(these.landmarks[partners.numpy()] - those.landmarks, axis=2)
        assert np.median(apart / side) < 0.03


def test_faces_that_move_are_those_of_a_search_of_every_frame(detector, heads, counted):
    frames = moving(heads[0], 26)
    expected = detector.detect(frames)
    counted.clear()
    faces, _ = found_by(detector, frames)
    assert all(len(each) == 1 for each in expected)
    assert_like(faces, expected)
    assert len(counted) <= 8


def test_a_face_that_comes_is_found_from_its_first_frame_on(detector, heads, counted):
    frames = [scene()] * 7 + [scene((heads[1], (200, 40)))] * 9 + [scene()] * 5
    faces, _ = found_by(detector, frames)
    assert [len(each) for each in faces] == [0] * 7 + [1] * 9 + [0] * 5
    assert len(counted) < 14


def test_a_face_that_turns_up_elsewhere_between_two_searches_is_found_there(detector, heads):
    # Seen at the same place in the frames 0 and 12, which are searched.
    frames = [scene((heads[0], (250 if 4 <= number < 9 else 20, 40))) for number in range(13)]
    faces, _ = found_by(detector, frames)
    assert_like(faces, detector.detect(frames))


def test_it_goes_on_after_any_group_as_an_unbroken_run(detector, heads):
    frames = moving(heads[0], 24)
    whole, _ = found_by(detector, frames, 8)
    _, state = found_by(detector, frames[:8], 8)
    rest, _ = found_by(detector, frames[8:], 8, json.loads(json.dumps(state)), first=8)
    for these, those in zip(rest, whole[8:], strict=True):
        np.testing.assert_array_equal(these.boxes, those.boxes)
        np.testing.assert_array_equal(these.landmarks, those.landmarks)
