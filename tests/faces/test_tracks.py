import json
from base64 import b64decode

import cv2
import numpy as np
import pytest

from ferkit.data.sources.video import Video
from ferkit.faces import FaceDetector, align_faces
from ferkit.faces.tracks import Tracker


def picture(seed, height, width):
    """A smooth picture of random colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


def person(seed, changed=0.0):
    """The crop of one made-up person; ``changed`` is how far, from 0 to 1, they have turned into somebody else."""
    return cv2.addWeighted(picture(seed, 128, 128), 1 - changed, picture(seed + 1000, 128, 128), changed, 0)


ROOM, OTHER_ROOM = picture(100, 90, 160), picture(101, 90, 160)
ANN, BOB = person(1), person(2)


def box(x, y=20, side=40):
    return [x, y, x + side, y + side]


def link(tracker, time_s, *faces, frame=ROOM):
    boxes = np.array([place for place, _ in faces], np.float64).reshape(-1, 4)
    crops = np.array([crop for _, crop in faces], np.uint8).reshape(-1, 128, 128, 3)
    return tracker.link(time_s, frame, boxes, crops)


def partly(share):
    """The room, of which ``share`` has changed."""
    frame = ROOM.copy()
    frame[:, : round(share * frame.shape[1])] = OTHER_ROOM[0, 0]
    return frame


def test_clips_are_numbered_as_they_begin():
    tracker = Tracker()
    assert link(tracker, 0.0) == []
    assert link(tracker, 0.1, (box(0), ANN), (box(80), BOB)) == [1, 2]
    assert link(tracker, 0.2, (box(40), person(3)), (box(82), BOB), (box(2), ANN)) == [3, 2, 1]


@pytest.mark.parametrize(
    ("moved", "clip"),
    [(0, 1), (20, 1), (32, 1), (33, 2), (60, 2)],  # IoU of two 40-px boxes 32 px apart: 8 / 72 = 0.11; 33 px: 7 / 73
)
def test_a_face_goes_on_where_it_overlaps_itself(moved, clip):
    tracker = Tracker()
    link(tracker, 0.0, (box(10), ANN))
    assert link(tracker, 0.1, (box(10 + moved), ANN)) == [clip]


def test_each_of_two_crossing_faces_keeps_its_clip():
    tracker = Tracker()
    for k in range(21):  # they meet at 50 px, side by side as in front of each other
        ann, bob = (box(6 * k - 10), ANN), (box(110 - 6 * k, y=25), BOB)
        faces = [bob, ann] if 6 * k - 10 > 110 - 6 * k else [ann, bob]  # by place, as detections come
        assert link(tracker, k / 25, *faces) == ([2, 1] if faces[0] is bob else [1, 2])


def test_a_cut_ends_all_clips_also_while_nobody_is_there():
    tracker = Tracker()
    link(tracker, 0.0, (box(10), ANN), (box(80), BOB))
    assert link(tracker, 0.1, (box(10), ANN), (box(80), BOB), frame=OTHER_ROOM) == [3, 4]
    assert link(tracker, 0.2, (box(10), ANN), (box(80), BOB), frame=OTHER_ROOM) == [3, 4]
    link(tracker, 0.3, frame=ROOM)
    assert link(tracker, 0.4, (box(10), ANN), frame=ROOM) == [5]


@pytest.mark.parametrize(
    ("share", "changed", "clip"),
    [(0.0, 0.2, 1), (0.0, 0.35, 1), (0.2, 0.1, 1), (0.2, 0.35, 2), (0.35, 0.1, 1), (0.5, 0.0, 2)],
)
def test_the_more_the_picture_changes_the_more_alike_a_face_must_look(share, changed, clip):
    tracker = Tracker()
    link(tracker, 0.0, (box(10), ANN))
    assert link(tracker, 0.1, (box(10), person(1, changed)), frame=partly(share)) == [clip]


def test_a_panning_camera_and_a_light_that_is_switched_on_make_no_cut():
    wall = np.tile(np.concatenate([ROOM, ROOM[:, ::-1]], axis=1), (1, 3, 1))
    tracker = Tracker()
    for k in range(12):  # by a tenth of the picture a frame
        frame = np.ascontiguousarray(wall[:, 16 * k : 16 * k + 160])
        assert link(tracker, k / 25, (box(10), ANN), frame=frame) == [1]
    assert link(tracker, 5.0, (box(10), ANN), frame=ROOM // 2) == [2]
    assert link(tracker, 5.1, (box(10), ANN), frame=ROOM) == [2]


@pytest.mark.parametrize(("missing_s", "clip"), [(0.04, 1), (0.48, 1), (0.56, 2), (3.0, 2)])
def test_a_drop_out_of_more_than_half_a_second_ends_a_clip(missing_s, clip):
    tracker = Tracker()
    link(tracker, 1.0, (box(10), ANN))
    for k in range(1, round(missing_s / 0.04)):
        link(tracker, 1.0 + 0.04 * k)
    assert link(tracker, 1.0 + missing_s, (box(10), ANN)) == [clip]


def test_goes_on_exactly_from_its_state_as_json():
    rng = np.random.default_rng(0)
    whole, resumed, seen = Tracker(), Tracker(), set()
    for k in range(60):
        people = [(box(20 + 60 * who + rng.uniform(-9, 9)), person(who, rng.uniform(0, 0.4))) for who in (1, 2)]
        faces = [face for face in people if rng.random() < 0.7]
        frame = partly(rng.choice([0.0, 0.2, 0.6]))
        clips = link(whole, 0.1 * k, *faces, frame=frame)
        resumed = Tracker(json.loads(json.dumps(resumed.state)))
        assert link(resumed, 0.1 * k, *faces, frame=frame) == clips
        seen.update(clips)
    assert resumed.state == whole.state
    assert len(seen) > 10


def test_faces_of_one_colour_are_linked():
    tracker, black = Tracker(), np.zeros((128, 128, 3), np.uint8)
    link(tracker, 0.0, (box(10), black))
    assert link(tracker, 0.1, (box(10), black)) == [1]
    assert np.isfinite(np.frombuffer(b64decode(tracker.state["tracks"][0]["look"]), "<f2")).all()


@pytest.fixture(scope="module")
def detector():
    return FaceDetector("cpu", min_face=60)


def clips_of(detector, *videos):
    """Clip -> times of its faces, in videos shown one after the other."""
    tracker, clips, began = Tracker(), {}, 0.0
    for video in videos:
        for frame in video.frames():
            [found] = detector.detect([frame.image])
            crops = align_faces(frame.image, found.landmarks)
            for clip in tracker.link(began + frame.time_s, frame.image, found.boxes, crops):
                clips.setdefault(clip, []).append(began + frame.time_s)
        began += video.info().seconds
    return clips


def test_hard_cuts_between_speakers_at_the_same_place_are_seen(data_dir, detector):
    speakers = [Video(str(path), fps=5.0) for path in sorted((data_dir / "video" / "grid").glob("*.mpg"))[:4]]
    clips = clips_of(detector, *speakers)
    assert [(min(times), max(times)) for times in clips.values()] == [
        (pytest.approx(3.0 * k), pytest.approx(3.0 * k + 2.8)) for k in range(4)
    ]


def test_a_face_that_comes_late_has_one_clip(data_dir, detector):
    [times] = clips_of(detector, Video(str(data_dir / "video" / "mixed" / "noface_face.mov"), fps=3.0)).values()
    assert min(times) == pytest.approx(4.0, abs=0.35)
    assert max(times) == pytest.approx(6.2, abs=0.2)
