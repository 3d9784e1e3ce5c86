import math

import cv2
import numpy as np
import pytest
from PIL import Image

from ferkit.faces.align import align_faces
from ferkit.faces.quality import clipped_share, face_quality, head_pose, sharpness
from ferkit.faces.template import TEMPLATE

POINTS = TEMPLATE[None].astype(float)
HEAD = np.column_stack([TEMPLATE, [0, 0, -18, -2, -2]])  # depths as documented, z away from the viewer


# Sharpness


def edge(blur, angle=0, low=40, high=200):
    """A crop of one straight edge that was blurred by ``blur`` pixels: the integral of the normal distribution."""
    y, x = np.mgrid[:128, :128] - 63.5
    distance = x * math.cos(math.radians(angle)) + y * math.sin(math.radians(angle))
    rise = np.vectorize(math.erf)(distance / (blur * math.sqrt(2)))
    gray = np.round(low + (high - low) * (1 + rise) / 2).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)


@pytest.mark.parametrize("angle", [0, 90, 30])
@pytest.mark.parametrize("blur", [1, 2, 4])
def test_sharpness_of_an_edge_is_the_documented_function_of_its_blur(blur, angle):
    # The gradient's peak is 1 / t and its fourth power's integral 1 / t^3; differences of neighbours blur by 1 / 12.
    t2 = blur**2 + 0.7**2 + 1 / 12
    expected = 1 - (t2 / (t2 + 1)) ** 1.5
    assert sharpness(edge(blur, angle)[None]) == pytest.approx(expected, abs=0.02)


def test_a_flat_picture_is_not_sharp_noise_is_and_what_is_beside_the_face_does_not_matter():
    noise = np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)
    flat, grainy = sharpness(np.stack([np.full((128, 128, 3), 77, np.uint8), noise]))
    assert flat == 0
    assert 0.8 < grainy <= 1
    beside = edge(3)
    beside[:15], beside[-15:] = 0, 255
    assert sharpness(beside[None]) == sharpness(edge(3)[None])


def test_sharpness_falls_as_real_faces_are_blurred_or_shrunk_grainy_or_not(portraits):
    random, crops = np.random.default_rng(0), real_crops(portraits)
    values = sharpness(np.stack([blurred(crop, sigma) for crop in crops for sigma in (0, 1, 2, 4)])).reshape(-1, 4)
    assert (np.diff(values, axis=1) < -0.05).all()
    assert values[:, 1:].max(axis=0)[1] < values[:, 0].min()  # across people: blurred by 2 px is below unblurred
    shrunk = [cv2.resize(cv2.resize(crop, (32, 32), interpolation=cv2.INTER_AREA), (128, 128)) for crop in crops]
    assert (sharpness(np.stack(shrunk)) < 0.7 * values[:, 0]).all()
    grainy = [np.clip(blurred(crop, 2) + random.normal(0, 4, crop.shape), 0, 255).astype(np.uint8) for crop in crops]
    assert sharpness(np.stack(grainy)).max() < values[:, 0].min()


def real_crops(portraits):
    pictures = {name: np.asarray(Image.open(path)) for name, path in portraits.items()}
    eyes_to_mouth = {"hopper": [(224, 180), (305, 178), (262, 228), (230, 262), (300, 262)]}
    eyes_to_mouth["astronaut"] = [(199, 104), (245, 101), (225, 129), (208, 152), (245, 150)]
    return [align_faces(pictures[name], np.array([points], float))[0] for name, points in eyes_to_mouth.items()]


def blurred(crop, sigma):
    return cv2.GaussianBlur(crop, (0, 0), sigma) if sigma else crop


# Pose


def rotation(yaw, pitch, roll):
    """The head turned up by ``pitch``, then to the image's right by ``yaw``, then clockwise by ``roll`` (y is down)."""
    (sy, cy), (sp, cp), (sr, cr) = ((math.sin(a), math.cos(a)) for a in np.radians([yaw, pitch, roll]))
    up = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    right = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    clockwise = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return clockwise @ right @ up


@pytest.mark.parametrize("yaw", [-80, -30, 0, 45])
@pytest.mark.parametrize("pitch", [-60, 0, 20])
@pytest.mark.parametrize("roll", [-170, -20, 0, 90])
def test_the_pose_of_a_projected_head_is_found_exactly(yaw, pitch, roll):
    points = (HEAD @ rotation(yaw, pitch, roll).T)[:, :2]
    found = head_pose(np.stack([points, points * 3.7 + [200, -50]]))
    np.testing.assert_allclose(found, np.repeat([[yaw], [pitch], [roll]], 2, axis=1), atol=1e-6)


def test_points_of_any_kind_have_a_pose_within_range_or_none():
    points = np.random.default_rng(1).normal(0, 30, (500, 5, 2))
    yaw, pitch, roll = head_pose(points)
    assert max(np.abs(yaw).max(), np.abs(pitch).max()) <= 90
    assert np.abs(roll).max() <= 180
    assert np.isnan(head_pose(np.full((1, 5, 2), 7.0))).all()
    assert head_pose(np.empty((0, 5, 2))).shape == (3, 0)


# Clipping


@pytest.mark.parametrize(
    ("shift", "size", "expected"),
    [
        ((0, 0), (128, 128), 0),
        ((-32, 0), (128, 128), 0.25),  # a quarter of the crop's width lies left of the picture
        ((0, 64), (128, 128), 0.5),
        ((-64, -64), (128, 128), 0.75),
        ((0, 0), (96, 64), 1 - 96 * 64 / 128**2),
        ((500, 0), (128, 128), 1),
    ],
)
def test_clipped_is_the_share_outside_the_picture(shift, size, expected):
    assert clipped_share(POINTS + shift, size) == pytest.approx(expected)
    assert clipped_share((POINTS + 0.5 + shift) * 2.5 - 0.5, np.array(size) * 2.5) == pytest.approx(expected)


# All together


def test_what_can_be_told_of_detected_faces():
    boxes = np.array([[10, 20, 60, 90], [0, 0, 30, 20]], np.float32)
    points = np.concatenate([POINTS, POINTS - np.array([0, 64])]).astype(np.float32)
    quality = face_quality(np.stack([edge(1), edge(2)]), boxes, points, (128, 128))
    assert len(quality) == 2
    assert quality.size.tolist() == [50, 20]
    assert quality.clipped.tolist() == [0, 0.5]
    assert quality.sharpness.tolist() == sharpness(np.stack([edge(1), edge(2)])).tolist()
    np.testing.assert_allclose([quality.yaw, quality.pitch, quality.roll], 0, atol=1e-4)
    first = quality.row(0)
    assert first["size"] == 50.0
    assert first["sharpness"] == round(float(quality.sharpness[0]), 4)
    assert all(type(value) is float for value in first.values())


def test_what_can_be_told_of_pictures_that_were_taken_as_crops_and_of_none():
    quality = face_quality(np.stack([edge(1), edge(1)]), None, None, [[48, 50], [300, 200]])
    first = quality.row(0)
    assert quality.row(1) == {**first, "size": 200.0}
    assert [first[name] for name in ("size", "yaw", "pitch", "roll", "clipped")] == [48.0, None, None, None, 0.0]
    none = np.empty((0, 128, 128, 3), np.uint8)
    assert len(face_quality(none)) == len(face_quality(none, np.empty((0, 4)), np.empty((0, 5, 2)), (9, 9))) == 0
