from threading import Lock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferkit.data.sources import Picture
from ferkit.faces.template import TEMPLATE
from ferkit.pipeline.decoding import (
    Decoded,
    cut_scales,
    group_by_pixels,
    read_ahead,
    read_crop,
    search_scale,
)
from samples import noise, png


@pytest.mark.parametrize("wide", [True, False])
def test_of_an_oblong_the_central_square_is_taken(wide):
    pixels = noise(1, 228)[0, :128]
    middle = pixels[:, 50:178]  # (228 - 128) / 2 on either side
    if not wide:
        pixels, middle = pixels.swapaxes(0, 1), middle.swapaxes(0, 1)
    np.testing.assert_array_equal(read_crop(Picture("x", fetch=lambda: png(pixels)))[0], middle)


@pytest.mark.parametrize(
    ("size", "min_face", "scale"),
    [
        ((4000, 3000), None, 2),
        ((8000, 6000), None, 4),
        ((16000, 2000), None, 2),  # a quarter would leave 500 of the shorter side, less than 900
        ((1100, 14000), None, 1),
        ((4000, 3000), 20, 1),
        ((4000, 3000), 30, 2),
        ((4000, 3000), 60, 2),  # 60 / 4 = 15, but a smaller copy than usual must show 48
        ((4000, 3000), 0.1, 4),  # 300 / 4 >= 48
        ((3000, 4000), 0.5, 8),
    ],
)
def test_the_smallest_face_says_how_large_a_photo_is_searched(size, min_face, scale):
    assert search_scale(size, min_face) == scale


def test_a_crop_needs_a_copy_in_which_the_eyes_are_40_px_apart():
    apart = np.array([20, 40, 79, 80, 161, 1000])
    landmarks = TEMPLATE[None].astype(float) * (apart / 40)[:, None, None]
    assert cut_scales(landmarks).tolist() == [1, 1, 1, 2, 4, 8]


def test_read_ahead_keeps_order_and_reads_no_further_than_told():
    lock, started = Lock(), []

    def read(picture):
        with lock:
            started.append(picture.source)
        return Decoded(picture, np.zeros((1, 1, 3), np.uint8))

    pictures = [Picture(str(number)) for number in range(50)]
    stream = read_ahead(pictures, 10, read, 3)
    assert next(stream).picture.source == "10"
    stream.close()
    assert len(started) <= 4
    assert [item.picture.source for item in read_ahead(pictures, 10, read, 3)] == [str(n) for n in range(10, 50)]


def decoded(height, width):
    return Decoded(Picture("x"), np.broadcast_to(np.uint8(0), (height, width, 3)))


@given(st.lists(st.integers(1, 6000), max_size=40), st.integers(1, 8))
def test_a_resumed_job_meets_the_same_groups(sides, most):
    items = [decoded(side, side) for side in sides]
    groups = list(group_by_pixels(items, most))
    done = 0
    for number, group in enumerate(groups):
        again = [[id(item) for item in other] for other in group_by_pixels(items[done:], most)]
        assert again == [[id(item) for item in other] for other in groups[number:]]
        done += len(group)
    assert done == len(items)
