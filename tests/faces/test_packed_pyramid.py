import numpy as np
import pytest
import torch

from ferkit.faces.image_pyramid import halvings
from ferkit.faces.packed_pyramid import CELL, STRIDE, Atlas

SIZES = [(90, 120), (37, 52), (300, 64)]


def atlas_of(images, min_face=20.0, factor=0.709):
    return Atlas.of([halvings(image) for image in images], [min_face] * len(images), factor, torch.device("cpu"))


def coloured(number, height, width):
    return np.full((height, width, 3), 40 * (number + 1), np.uint8)


def test_every_window_sees_only_the_image_it_belongs_to():
    atlas = atlas_of([coloured(number, *size) for number, size in enumerate(SIZES)])
    rows, columns = (atlas.owner >= 0).nonzero(as_tuple=True)
    assert len(rows) > 1000
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        y, x = STRIDE * row, STRIDE * column
        colours = set(atlas.pixels[y : y + CELL, x : x + CELL].unique().tolist())
        image = int(atlas.image[atlas.owner[row, column]])
        assert colours <= {128, 40 * (image + 1)}  # 128 is the margin


def test_levels_shrink_until_a_window_just_fits_and_the_smallest_face_measures_one():
    atlas = atlas_of([coloured(0, 100, 100)], min_face=12, factor=0.5)
    assert atlas.step[:, 0].tolist() == pytest.approx([1, 2, 100 / 24, 100 / 12])
    np.testing.assert_allclose(CELL * atlas_of([coloured(0, 400, 600)], min_face=48).step[0], 48, rtol=0.01)


def test_a_place_on_the_canvas_leads_back_to_the_image():
    image = np.zeros((240, 320, 3), np.uint8)
    image[120:136, 200:216] = 255
    atlas = atlas_of([image])
    for level, (origin, step) in enumerate(zip(atlas.origin, atlas.step, strict=True)):
        left, top = (origin / STRIDE).long().tolist()
        mine = (atlas.owner[top - 1 :, left - 1 :] == level).nonzero()
        (last_row, last_column) = (mine.amax(dim=0) * STRIDE + CELL).tolist()
        y0, x0 = STRIDE * (top - 1), STRIDE * (left - 1)
        bright = atlas.pixels[y0 : y0 + last_row, x0 : x0 + last_column, 0].float() * (1 / 255)
        bright[bright.sub(128 / 255).abs() < 1e-6] = 0  # the margin
        across = torch.arange(bright.shape[1]) + 0.5
        down = torch.arange(bright.shape[0]) + 0.5
        x = ((bright.sum(0) * across).sum() / bright.sum() + x0 - origin[0]) * step[0]
        y = ((bright.sum(1) * down).sum() / bright.sum() + y0 - origin[1]) * step[1]
        assert abs(x - 208) < 0.5 * step[0]
        assert abs(y - 128) < 0.5 * step[1]


def test_images_too_small_for_a_window_give_an_empty_canvas():
    atlas = atlas_of([coloured(0, 1, 1), coloured(1, 7, 500)])
    assert atlas.pixels.shape == (0, 0, 3)
    assert atlas.origin.shape == (0, 2)
