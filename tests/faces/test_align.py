import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferkit.encoders.registry import CROP_SIDES
from ferkit.faces import CROP_SIZE, TEMPLATE, align_faces, similarity_from_points
from ferkit.faces.align import landmarks_in_crops
from ferkit.faces.template import CROP_SIZES, template_points

coordinate = st.floats(-500, 500, width=32)
five_points = st.lists(st.tuples(coordinate, coordinate), min_size=5, max_size=5).map(np.array)
angle, scale = st.floats(-math.pi, math.pi), st.floats(0.05, 20)


def similarity(angle, scale, shift):
    turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.column_stack([turn, shift])


def moved(points, matrix):
    return points @ matrix[:, :2].T + matrix[:, 2]


def by_least_squares(src, dst):
    """Solve for (a, b, x, y) of [[a, -b, x], [b, a, y]] as an overdetermined linear system."""
    rows_x = np.column_stack([src[:, 0], -src[:, 1], np.ones(len(src)), np.zeros(len(src))])
    rows_y = np.column_stack([src[:, 1], src[:, 0], np.zeros(len(src)), np.ones(len(src))])
    a, b, x, y = np.linalg.lstsq(np.concatenate([rows_x, rows_y]), dst.T.ravel(), rcond=None)[0]
    return np.array([[a, -b, x], [b, a, y]])


def ramps(height, width):
    """An image whose red is its column and whose green is its row: a crop's colours say where it was taken from."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)


def test_template_is_symmetric_and_inside_the_crop():
    middle = (CROP_SIZE - 1) / 2
    mirrored = TEMPLATE[[1, 0, 2, 4, 3]] * [-1, 1] + [2 * middle, 0]
    np.testing.assert_allclose(mirrored, TEMPLATE)
    assert TEMPLATE[1, 0] - TEMPLATE[0, 0] == 40
    assert not TEMPLATE.flags.writeable


@given(five_points, angle, scale, coordinate, coordinate)
def test_a_similarity_is_recovered(points, angle, scale, x, y):
    if np.ptp(points, axis=0).max() < 1:
        points = TEMPLATE.astype(np.float64)
    truth = similarity(angle, scale, [x, y])
    found = similarity_from_points(points[None], moved(points, truth))[0]
    np.testing.assert_allclose(moved(points, found), moved(points, truth), atol=1e-5)
    np.testing.assert_allclose(found[:, :2], truth[:, :2], atol=1e-5 * scale)


def test_noisy_points_agree_with_linear_least_squares():
    rng = np.random.default_rng(0)
    src = TEMPLATE + rng.normal(0, 4, (50, 5, 2))
    expected = [by_least_squares(points, TEMPLATE.astype(np.float64)) for points in src]
    np.testing.assert_allclose(similarity_from_points(src, TEMPLATE), expected, atol=1e-9)


def test_mirrored_points_are_not_mirrored_back_and_coinciding_ones_are_only_moved():
    assert np.linalg.det(similarity_from_points((TEMPLATE * [-1, 1])[None], TEMPLATE)[0, :, :2]) >= 0
    expected = np.column_stack([np.eye(2), TEMPLATE.astype(np.float64).mean(axis=0) - 7.25])
    np.testing.assert_allclose(similarity_from_points(np.full((1, 5, 2), 7.25), TEMPLATE)[0], expected)


@pytest.mark.parametrize(("turn", "zoom"), [(0, 1), (0.4, 1), (-0.3, 0.3), (0.2, 1.7), (2.5, 1.4)])
def test_every_pixel_comes_from_where_the_landmarks_say(turn, zoom):
    to_image = similarity(turn, zoom, [0, 0])
    to_image[:, 2] = 120 - to_image[:, :2] @ [63.5, 63.5]
    crop = align_faces(ramps(250, 250), moved(TEMPLATE, to_image)[None])[0]
    y, x = np.mgrid[:CROP_SIZE, :CROP_SIZE]
    expected = moved(np.stack([x, y], axis=-1).astype(np.float64), to_image)
    inside = ((expected > 3) & (expected < 246)).all(axis=-1)
    assert inside.mean() > 0.8
    assert np.abs(crop[..., :2] - expected)[inside].max() < 1.01  # two roundings to whole grey levels


def test_shrinking_averages_fine_detail():
    board = np.indices((1100, 1100)).sum(axis=0) % 2 * 255  # single pixels: any plain interpolation shows moiré
    image = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    matrix = similarity(0.3, 7.7, [550 - 7.7 * 40, 200])
    crop = align_faces(image, moved(TEMPLATE, matrix)[None])[0]
    assert np.abs(crop[30:-30, 30:-30].astype(float) - 127.5).max() < 6


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 40, 3), (40, 1, 3)])
@pytest.mark.parametrize("points", [TEMPLATE, TEMPLATE * 0.01, TEMPLATE * 100, TEMPLATE + 5000, TEMPLATE * 0])
def test_any_landmarks_on_any_image_give_a_crop(shape, points):
    crop = align_faces(np.full(shape, 77, np.uint8), points[None])
    np.testing.assert_array_equal(crop, np.full((1, CROP_SIZE, CROP_SIZE, 3), 77))


def test_several_faces_and_none():
    """Faces on the template are cut out unchanged."""
    image = np.random.default_rng(0).integers(0, 256, (200, 180, 3), np.uint8)
    crops = align_faces(image, np.stack([TEMPLATE + np.array([20, 31]), TEMPLATE + 3]))
    for crop, (x, y) in zip(crops, ((20, 31), (3, 3)), strict=True):
        np.testing.assert_array_equal(crop, image[y : y + CROP_SIZE, x : x + CROP_SIZE])
    assert align_faces(image, np.empty((0, 5, 2))).shape == (0, CROP_SIZE, CROP_SIZE, 3)


def test_landmarks_are_carried_with_the_pixels():
    points = np.array([[40, 40], [60, 42], [50, 52], [42, 64], [58, 66]], np.float64)
    turned = points @ (1.7 * np.array([[0.8, 0.6], [-0.6, 0.8]])) + [30, -5]
    crops = landmarks_in_crops(np.stack([points, turned, TEMPLATE]))
    np.testing.assert_allclose(crops[0], crops[1], atol=1e-9)  # a similarity is taken off
    np.testing.assert_allclose(crops[2], TEMPLATE, atol=1e-9)
    assert np.abs(crops[0] - TEMPLATE).max() < 12


@pytest.mark.parametrize("size", [160, 256])
def test_larger_crops_show_the_same(size):
    """Points of the template come to the same places of the face; shrunk, the crop is the one of 128 px."""
    y, x = np.mgrid[:900, :900] // 4
    image = np.stack([x, y, (x + y) // 2], axis=-1).astype(np.uint8)
    landmarks = (4 * TEMPLATE + 100)[None]
    large, usual = align_faces(image, landmarks, template_points(size), size)[0], align_faces(image, landmarks)[0]
    assert large.shape == (size, size, 3)
    shrunk = cv2.resize(large, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(int) - usual)[2:-2, 2:-2].max() <= 2
    np.testing.assert_allclose(template_points(CROP_SIZE), TEMPLATE)
    assert size in CROP_SIZES == CROP_SIDES
    np.testing.assert_allclose((template_points(size) + 0.5) / size, (TEMPLATE + 0.5) / CROP_SIZE, rtol=1e-6)
