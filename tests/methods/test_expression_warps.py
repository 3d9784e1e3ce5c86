import numpy as np
import pytest
import torch

from ferkit.methods.expression_warps import EXPRESSIONS, push_displacement, with_expression
from ferkit.ops.grids import sampling_grid

CROP = sampling_grid(torch.eye(2, 3)[None], 128)


def dot_at(x, y):
    """A white Gaussian dot of 1.5 px on black, centred at (x, y)."""
    rows, columns = np.mgrid[:128, :128]
    dot = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 1.5**2))
    return np.repeat(dot.round().astype(np.uint8)[..., None], 3, axis=2)


def centroid(image):
    weights = image[..., 0].astype(float)
    rows, columns = np.mgrid[:128, :128]
    return (columns * weights).sum() / weights.sum(), (rows * weights).sum() / weights.sum()


def test_smile_drags_the_mouth_corner_out_and_up():
    # The corner c appears where t r = |s| (1 - t^2)^2, t r px away in the push's direction. With |s| = sqrt(52), r = 20
    # that is t = 0.2986, hence 5.97 px along (-4, -6) / |s| from (46.9, 89.7).
    image = dot_at(46.9, 89.7)
    assert centroid(image) == pytest.approx((46.9, 89.7), abs=0.05)

    assert centroid(with_expression(image, "smile")) == pytest.approx((46.9 - 3.31, 89.7 - 4.97), abs=0.6)


@pytest.mark.parametrize(
    ("expression", "point", "direction"),
    [
        ("sadness", (80.1, 89.7), (0, 1)),
        ("surprise", (63.5, 96.5), (0, 1)),
        ("frown", (54.5, 34.5), (1, 1)),
        ("open mouth", (63.5, 96.5), (0, 1)),
        ("pursed lips", (46.9, 89.7), (1, 0)),
    ],
)
def test_feature_moves_as_the_expression_says(expression, point, direction):
    moved = np.subtract(centroid(with_expression(dot_at(*point), expression)), point)

    assert np.sign(np.round(moved / 2)).tolist() == list(direction)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_nothing_folds(jacobian_determinant, expression):
    assert jacobian_determinant(CROP - push_displacement(EXPRESSIONS[expression], CROP)).min() > 0.2


def test_a_photo_bends_where_its_crop_does():
    # Twice as large and 10 px to the right: crop = (photo - (10, 0)) / 2.
    to_crop = np.array([[0.5, 0, -5], [0, 0.5, 0]])
    crop, photo = dot_at(46.9, 89.7), np.zeros((256, 300, 3), np.uint8)
    photo[:, 10:266] = crop.repeat(2, 0).repeat(2, 1)
    bent = with_expression(photo, "smile", to_crop=to_crop)
    near = with_expression(crop, "smile")
    assert np.abs(bent[::2, 10:266:2].astype(int) - near).mean() < 0.1
    np.testing.assert_array_equal(with_expression(photo, "smile", strength=0, to_crop=to_crop), photo)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_hair_chin_and_background_stay(expression):
    moved = push_displacement(EXPRESSIONS[expression], CROP).norm(dim=-1)[0]
    still = torch.ones(128, 128, dtype=torch.bool)
    still[18:120, 20:108] = False

    assert moved[still].max() == 0
    assert moved.max() > 2 / 64  # somewhere it moves by more than 2 px
