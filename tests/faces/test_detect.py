import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
import torch
from PIL import Image

from ferkit.errors import InputError
from ferkit.faces import FaceDetector
from ferkit.faces.networks import proposal_network, refine_network
from ferkit.faces.openvino_networks import OpenVinoNetwork
from ferkit.ops.boxes import box_iou

EYES, NOSE, MOUTH = [0, 1], 2, [3, 4]


def read(path):
    return np.asarray(Image.open(path).convert("RGB"))


def black(height, width):
    return np.zeros((height, width, 3), np.uint8)


def overlap(a, b):
    return box_iou(torch.from_numpy(np.float32(a)), torch.from_numpy(np.float32(b))).numpy()


def assert_same(a, b, atol=1e-2):
    assert len(a) == len(b)
    np.testing.assert_allclose(a.boxes, b.boxes, atol=atol)
    np.testing.assert_allclose(a.landmarks, b.landmarks, atol=atol)
    np.testing.assert_allclose(a.scores, b.scores, atol=1e-4)


@pytest.fixture(scope="module")
def detector():
    return FaceDetector()


@pytest.fixture(scope="module")
def peer():
    """facenet-pytorch's own detector, image by image: boxes and landmarks of a picture with faces."""
    from facenet_pytorch import MTCNN

    theirs = MTCNN(keep_all=True, min_face_size=20)

    def detect(image):
        boxes, _, landmarks = theirs.detect(image, landmarks=True)
        # Its boxes count pixels from 1 and end with the last pixel inside.
        return np.float32(boxes) - np.float32([1.5, 1.5, 0.5, 0.5]), np.float32(landmarks)

    return detect


@pytest.fixture(scope="module")
def faces(portraits):
    return {name: read(path) for name, path in portraits.items()}


@pytest.fixture(scope="module")
def groups(data_dir):
    """(image, (n, 4) boxes, (n, 5, 2) landmarks) of dlib's annotated photos."""
    photos = []
    for part in ("training", "testing"):
        tree = ElementTree.parse(data_dir / "photos" / "groups" / f"{part}_with_face_landmarks.xml")
        for image in tree.iter("image"):
            boxes = [[int(box.get(side)) for side in ("left", "top", "width", "height")] for box in image.iter("box")]
            points = [[(int(p.get("x")), int(p.get("y"))) for p in box.iter("part")] for box in image.iter("box")]
            corners = np.array([[x, y, x + w, y + h] for x, y, w, h in boxes], np.float32)
            photos.append((read(data_dir / "photos" / "groups" / image.get("file")), corners, five_of_68(points)))
    return photos


def five_of_68(points):
    points = np.array(points, np.float32)
    eyes = [points[:, 36:42].mean(axis=1), points[:, 42:48].mean(axis=1)]
    return np.stack([*eyes, points[:, 30], points[:, 48], points[:, 54]], axis=1)


def test_a_portrait_has_one_face_with_its_parts_in_place(detector, faces):
    for name in ("hopper", "astronaut"):
        (found,) = detector.detect([faces[name]])
        assert len(found) == 1
        assert found.scores[0] > 0.99
        (x0, y0, x1, y1), points = found.boxes[0], found.landmarks[0]
        assert ((points > [x0, y0]) & (points < [x1, y1])).all()
        assert points[0, 0] < points[NOSE, 0] < points[1, 0]
        assert points[3, 0] < points[4, 0]
        assert points[EYES, 1].max() < points[NOSE, 1] < points[MOUTH, 1].min()
        assert {array.dtype for array in (found.boxes, found.scores, found.landmarks)} == {np.dtype(np.float32)}


def test_portraits_agree_with_facenet_pytorch(detector, peer, faces):
    for name in ("hopper", "astronaut"):
        boxes, landmarks = peer(faces[name])
        (found,) = detector.detect([faces[name]])
        assert overlap(found.boxes, boxes).item() > 0.85
        eyes_apart = np.linalg.norm(np.subtract(*landmarks[0, EYES]))
        assert np.abs(found.landmarks - landmarks).max() < 0.1 * eyes_apart


def test_images_do_not_disturb_each_other(detector, faces):
    flat = np.full((120, 333, 3), 90, np.uint8)
    images = [faces["hopper"], flat, black(1, 1), faces["both"], black(13, 700), faces["astronaut"]]
    together = detector.detect(images)
    assert [len(found) for found in together] == [1, 0, 0, 2, 0, 1]
    for image, found in zip(images, together, strict=True):
        assert_same(found, detector.detect([image])[0])


@pytest.mark.parametrize("workers", [2, 5])
def test_any_number_of_workers_finds_the_same(faces, workers):
    images = [faces["both"], faces["hopper"], black(40, 900), faces["astronaut"]] * 4
    threads = torch.get_num_threads()
    expected = FaceDetector(workers=1).detect(images)
    found = FaceDetector(workers=workers).detect(images)
    assert torch.get_num_threads() == threads
    assert len(found) == len(images)
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
def test_half_precision_finds_the_same_faces(detector, faces, monkeypatch, precision):
    monkeypatch.setattr("ferkit.faces.detect._precision", lambda device: precision)
    images = [faces["hopper"], black(30, 40), faces["both"]]
    for half, full in zip(FaceDetector().detect(images), detector.detect(images), strict=True):
        assert len(half) == len(full)
        assert {array.dtype for array in (half.boxes, half.scores, half.landmarks)} == {np.dtype(np.float32)}
        if len(full):
            best = overlap(half.boxes, full.boxes)
            assert best.max(axis=0).min() > 0.8
            size = full.boxes[0, 2] - full.boxes[0, 0]
            assert np.abs(half.landmarks[best[:, 0].argmax()] - full.landmarks[0]).max() < 0.03 * size


def test_small_chunks_change_nothing(detector, faces, monkeypatch):
    images = [faces["astronaut"], faces["hopper"], faces["both"]]
    expected = detector.detect(images)
    monkeypatch.setattr("ferkit.faces.detect._BATCH_PIXELS", {"cpu": 300_000})
    monkeypatch.setattr("ferkit.faces.cascade._TILE", {"cpu": 34})
    monkeypatch.setattr("ferkit.faces.cascade._PATCHES", {"cpu": {24: 7, 48: 3}})
    for found, wanted in zip(detector.detect(images), expected, strict=True):
        assert_same(found, wanted)


def test_openvino_finds_the_same_faces(detector, faces):
    pytest.importorskip("openvino")
    images = [faces["hopper"], black(30, 40), faces["both"]]
    expected, other = detector.detect(images), FaceDetector(runtime="openvino")
    for found, same in zip(other.detect(images), expected, strict=True):
        assert len(found) == len(same)  # though P-Net's proposals may be rounded to bfloat16
        assert not len(same) or overlap(found.boxes, same.boxes).max(axis=0).min() > 0.9
    for stage, network in (("propose", proposal_network()), ("refine", refine_network())):
        setattr(other._cascade, f"{stage}_net", OpenVinoNetwork(network, other.threads))
    for found, same in zip(other.detect(images), expected, strict=True):
        assert_same(found, same, atol=0.05)


@pytest.mark.parametrize("size", [(1, 300), (12, 12), (20, 21)])
def test_nothing_is_found_in_black(detector, size):
    (found,) = detector.detect([black(*size)])
    assert len(found) == 0
    assert found.boxes.shape == (0, 4)
    assert found.landmarks.shape == (0, 5, 2)
    assert detector.detect([]) == []


@pytest.mark.parametrize("light", [0.2, 0.05])
def test_a_face_in_the_dark_is_found(detector, faces, light):
    for name in ("hopper", "astronaut"):
        noise = np.random.default_rng(0).normal(0, 3, faces[name].shape[:2])[..., None]
        gray = np.clip(faces[name].mean(axis=2, keepdims=True) * light + noise, 0, 255).astype(np.uint8)
        (found,), (expected,) = detector.find([gray.repeat(3, axis=2)]), detector.find([faces[name]])
        assert overlap(found.boxes, expected.boxes).item() > 0.7


def test_min_face_leaves_small_faces_out(faces):
    image = faces["both"]
    (every,) = FaceDetector(min_face=40).detect([image])
    sizes = sorted((every.boxes[:, 3] - every.boxes[:, 1]).tolist())
    limit = (sizes[0] + sizes[-1]) / 2
    (large,) = FaceDetector(min_face=limit).detect([image])
    assert len(large) < len(every)
    (share,) = FaceDetector(min_face=limit / min(image.shape[:2])).detect([image])
    assert_same(share, large)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min_face": 5}, "5"),
        ({"thresholds": (0.6, 0.7, 1.0)}, "thresholds"),
        ({"factor": 1.0}, "factor"),
        ({"max_side": 3}, "max_side"),
        ({"runtime": "tvm"}, "one of torch, openvino, not 'tvm'"),
        ({"workers": 0}, "workers"),
    ],
)
def test_settings_out_of_range_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        FaceDetector(**settings)


def test_annotated_faces_are_found(detector, groups):
    wanted = hits = extra = 0
    errors = []
    for (_, boxes, points), found in zip(groups, detector.detect([image for image, *_ in groups]), strict=True):
        best = overlap(found.boxes, boxes)
        wanted, extra = wanted + len(boxes), extra + int((best.max(axis=1) < 0.5).sum())
        for column in np.flatnonzero(best.max(axis=0) >= 0.5):
            hits += 1
            eyes_apart = np.linalg.norm(np.subtract(*points[column, EYES]))
            distance = np.linalg.norm(found.landmarks[best[:, column].argmax()] - points[column], axis=1)
            errors.append(distance.mean() / eyes_apart)
    assert hits >= 0.95 * wanted
    assert extra <= 1
    assert np.mean(errors) < 0.08


def test_pictures_without_faces(detector, data_dir):
    animals = sorted((data_dir / "photos" / "no-face").glob("*.jpg"))
    assert sum(len(found) for found in detector.detect([read(path) for path in animals])) <= 1
