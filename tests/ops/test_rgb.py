from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from ferkit.errors import InputError
from ferkit.ops.rgb import is_one_image, rgb_arrays

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)


@pytest.mark.parametrize(
    "image",
    [
        RGB,
        RGB[::-1][::-1],
        RGB.astype(np.float64) / 255,
        torch.from_numpy(RGB),
        torch.from_numpy(RGB).permute(2, 0, 1),
        torch.from_numpy(RGB).permute(2, 0, 1).float() / 255,
        Image.fromarray(RGB),
        Image.fromarray(np.dstack([RGB, np.full((5, 7), 255, np.uint8)])),
        SimpleNamespace(crop=RGB),
    ],
)
def test_one_image_however_it_is_held(image):
    for images in (image, [image]):
        (array,) = rgb_arrays(images)
        assert array.dtype == np.uint8
        np.testing.assert_array_equal(array, RGB)


def test_gray_is_gray_in_all_channels_transparency_white_and_what_lies_upright():
    np.testing.assert_array_equal(rgb_arrays(RGB[..., 0])[0], np.repeat(RGB[..., :1], 3, axis=2))
    clear = Image.fromarray(np.zeros((2, 2, 4), np.uint8))
    assert rgb_arrays(clear)[0].min() == 255
    lying = Image.fromarray(RGB)
    lying.getexif()[0x0112] = 6  # turn a quarter clockwise to show
    np.testing.assert_array_equal(rgb_arrays(lying)[0], np.rot90(RGB, -1))


def test_batches_and_collections():
    batch = np.stack([RGB, RGB[::-1]])
    planes = torch.from_numpy(batch).permute(0, 3, 1, 2)
    for images in (batch, planes, list(batch), (image for image in batch)):
        assert [array.tolist() for array in rgb_arrays(images)] == batch.tolist()
    assert (is_one_image(RGB), is_one_image(batch), is_one_image([RGB])) == (True, False, False)
    assert rgb_arrays([]) == []


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ("photo.jpg", r"image 0 is str; .*PIL\.Image\.open"),
        (7, "image 0 is int"),
        ([RGB, RGB.astype(np.int32)], r"image 1 is \(5, 7, 3\) int32"),
        (np.zeros((5, 7, 4), np.uint8), r"image 0 is \(5, 7, 4\) uint8; give \(H, W, 3\) RGB"),
        (RGB.astype(np.float32), r"floats from .* to 248; scale them to \[0, 1\]"),
        (np.full((2, 2, 3), np.nan), "floats from nan"),
        (np.zeros((0, 7, 3), np.uint8), r"image 0 is \(0, 7, 3\)"),
        (Image.fromarray(np.zeros((2, 2), np.uint16)), "mode 'I;16'; convert it to 8 bits"),
    ],
)
def test_what_is_no_image_is_told(images, says):
    with pytest.raises(InputError, match=says):
        rgb_arrays(images)
