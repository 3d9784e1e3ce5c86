import numpy as np
import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d

from ferkit.faces.image_pyramid import cut_patches, halvings

GRAY = 128


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def patches(images, numbers, boxes, side=24):
    stacks = [halvings(image) for image in images]
    cut = cut_patches(stacks, np.array(numbers, np.int64), np.array(boxes, np.float32).reshape(-1, 4), side)
    return cut.astype(np.float32)


def averaged(region, side):
    pixels = torch.from_numpy(region).permute(2, 0, 1)[None].float()
    return adaptive_avg_pool2d(pixels, side)[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("factor", [1, 2, 4, 8])
def test_a_patch_is_the_average_of_the_pixels_under_it(factor):
    image, side = noise(400, 500), 24 * factor
    cut = patches([image], [0], [[40.0, 16.0, 40.0 + side, 16.0 + side]])[0]
    expected = averaged(image[16 : 16 + side, 40 : 40 + side], 24)
    np.testing.assert_allclose(cut, expected, atol=1.5)  # copies round to whole grey levels


@pytest.mark.parametrize(
    ("box", "step", "atol"),
    [
        ([20.0, 30.0, 56.0, 66.0], 1.5, 0.6),  # between two halvings
        ([40.0, 30.0, 184.0, 174.0], 6, 1.1),  # 1.5 pixels of the copy at 1/4
    ],
)
def test_a_box_is_read_at_its_own_step(box, step, atol):
    ramp = np.broadcast_to(np.arange(250, dtype=np.uint8)[None, :, None], (250, 250, 3))  # pixel x holds the value x
    cut = patches([ramp], [0], [box])[0]
    np.testing.assert_allclose(cut[7, :, 1], box[0] - 0.5 + step * (np.arange(24) + 0.5), atol=atol)


def test_outside_the_image_is_mid_gray():
    image = np.full((30, 30, 3), 255, np.uint8)
    cut = patches([image], [0], [[-12.0, 18.0, 12.0, 42.0]])[0]
    np.testing.assert_allclose(cut[:12, 12:], 255)
    np.testing.assert_allclose(cut[:, :12], GRAY)
    np.testing.assert_allclose(cut[12:], GRAY)


def test_an_image_wider_than_opencv_warps():
    image = np.zeros((40, 70_000, 3), np.uint8)
    image[:, 69_950:] = np.arange(50, dtype=np.uint8)[None, :, None]
    cut = patches([image], [0], [[69_960.0, 4.0, 69_984.0, 28.0]])[0]
    np.testing.assert_allclose(cut[3, :, 2], np.arange(10, 34))


def test_boxes_of_any_size_and_image_keep_their_rows():
    images = [noise(300, 200, 0), noise(50, 70, 1), noise(1, 1, 2)]
    boxes = [[10.0, 10.0, 190.0, 190.0], [5.0, 5.0, 30.0, 30.0], [-3.0, 2.0, 40.0, 45.0], [0.0, 0.0, 1.0, 1.0]]
    boxes += [[100.0, 200.0, 130.0, 230.0], [900.0, 900.0, 930.0, 930.0], [-90.0, -90.0, -50.0, -50.0]]
    numbers = [0, 1, 1, 2, 0, 1, 0]
    together = patches(images, numbers, boxes)
    for number, box, patch in zip(numbers, boxes, together, strict=True):
        np.testing.assert_array_equal(patch, patches([images[number]], [0], [box])[0])
    np.testing.assert_allclose(together[5:], GRAY)
