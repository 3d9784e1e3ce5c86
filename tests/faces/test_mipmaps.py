import numpy as np
import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d

from ferkit.faces.mipmaps import Mipmaps, halvings, patches_of_alike_boxes
from ferkit.faces.networks import MID_GRAY

CPU = torch.device("cpu")


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def patches(images, numbers, boxes, side=24, at_once=3):
    """The patches in the order of the boxes, in 0..255."""
    mipmaps = Mipmaps.of([halvings(image) for image in images], CPU)
    chunks = patches_of_alike_boxes(mipmaps, torch.tensor(numbers), torch.tensor(boxes), side, at_once)
    rows, parts = zip(*chunks, strict=True)
    return (torch.cat(parts)[torch.cat(rows).argsort()] + MID_GRAY).permute(0, 2, 3, 1).numpy()


def averaged(region, side):
    return (
        adaptive_avg_pool2d(torch.from_numpy(region).permute(2, 0, 1)[None].float(), side)[0].permute(1, 2, 0).numpy()
    )


def test_halvings_average_two_by_two():
    image = noise(101, 98)
    half = halvings(image)[1]
    expected = image[:100].reshape(50, 2, 49, 2, 3).mean(axis=(1, 3))
    assert np.abs(half - expected).max() <= 0.5


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [((1, 1), [1]), ((48, 48), [48]), ((200, 100), [200, 100, 50, 25]), ((3, 1000), [3, 1]), ((1, 90), [1])],
)
def test_halvings_end_when_small(shape, sizes):
    assert [copy.shape[0] for copy in halvings(noise(*shape))] == sizes


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_a_patch_is_the_average_of_the_pixels_under_it(factor):
    image, side = noise(400, 500), 24 * factor
    cut = patches([image], [0], [[40.0, 16.0, 40.0 + side, 16.0 + side]])[0]
    np.testing.assert_allclose(
        cut, averaged(image[16 : 16 + side, 40 : 40 + side], 24), atol=1.5
    )  # copies round to whole grey levels


def test_a_small_box_repeats_its_pixels():
    image = noise(30, 30)
    cut = patches([image], [0], [[6.0, 9.0, 18.0, 21.0]])[0]
    np.testing.assert_allclose(cut, image[9:21, 6:18].repeat(2, axis=0).repeat(2, axis=1), atol=1e-3)


def test_a_fractional_box_shares_pixels_out():
    image = np.zeros((10, 40, 3), np.uint8)
    image[:, 5] = 100
    cut = patches([image], [0], [[4.75, 0.0, 28.75, 24.0]])[
        0
    ]  # output pixel 0 covers 0.25 of column 4, 0.75 of column 5
    np.testing.assert_allclose(cut[0, :3, 0], [75, 25, 0], atol=1e-3)


def test_outside_the_image_is_mid_gray():
    image = np.full((30, 30, 3), 255, np.uint8)
    cut = patches([image], [0], [[-12.0, 18.0, 12.0, 42.0]])[0]
    np.testing.assert_allclose(cut[:12, 12:], 255)
    np.testing.assert_allclose(cut[:, :12], MID_GRAY)
    np.testing.assert_allclose(cut[12:], MID_GRAY)


def test_boxes_of_any_size_and_image_keep_their_rows():
    images = [noise(300, 200, 0), noise(50, 70, 1), noise(1, 1, 2)]
    boxes = [[10.0, 10.0, 190.0, 190.0], [5.0, 5.0, 30.0, 30.0], [-3.0, 2.0, 40.0, 45.0], [0.0, 0.0, 1.0, 1.0]]
    boxes += [[100.0, 200.0, 130.0, 230.0], [900.0, 900.0, 930.0, 930.0]]
    numbers = [0, 1, 1, 2, 0, 1]
    together = patches(images, numbers, boxes)
    for number, box, patch in zip(numbers, boxes, together, strict=True):
        np.testing.assert_allclose(patch, patches([images[number]], [0], [box])[0], atol=1e-3)
    np.testing.assert_allclose(together[5], MID_GRAY)


def test_no_boxes_give_no_patches():
    mipmaps = Mipmaps.of([halvings(noise(9, 9))], CPU)
    none = patches_of_alike_boxes(mipmaps, torch.empty(0, dtype=torch.long), torch.empty(0, 4), 48, 64)
    assert [patches.shape for _, patches in none] == [(0, 3, 48, 48)]
