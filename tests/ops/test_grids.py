import math

import pytest
import torch

from ferkit.ops.grids import affine_matrices, sample, sampling_grid


def matrices(scale=1.0, aspect=1.0, angle=0.0, shift=(0.0, 0.0), flip=False):
    return affine_matrices(*(torch.tensor([value]) for value in (scale, aspect, angle, shift, flip)))


@pytest.mark.parametrize(
    ("view", "size", "expected"),
    [
        ({}, 8, lambda image: image),
        ({"flip": True}, 8, lambda image: image.flip(3)),
        ({"scale": 0.5}, 4, lambda image: image[:, :, 2:6, 2:6]),
        ({"scale": 0.5, "shift": (0.5, -0.5)}, 4, lambda image: image[:, :, 0:4, 4:8]),
        ({"angle": math.pi / 2}, 8, lambda image: image.rot90(1, (2, 3))),  # clockwise
    ],
)
def test_what_a_view_shows(view, size, expected):
    image = torch.arange(3 * 8 * 8.0).view(1, 3, 8, 8)
    torch.testing.assert_close(sample(image, sampling_grid(matrices(**view), size)), expected(image))


def test_aspect_keeps_the_area():
    matrix = matrices(scale=0.8, aspect=1.7, angle=0.4)[0, :, :2]
    assert torch.linalg.det(matrix).item() == pytest.approx(0.64, rel=1e-5)
    assert (matrix[:, 0].norm() / matrix[:, 1].norm()).item() == pytest.approx(1.7, rel=1e-5)


def test_points_outside_show_the_mirror_image():
    """As PyTorch's own reflection padding, which not every accelerator has."""
    image = torch.rand(2, 3, 7, 10, generator=torch.Generator().manual_seed(0))
    grid = 8 * torch.rand(2, 40, 50, 2, generator=torch.Generator().manual_seed(1)) - 4
    theirs = torch.nn.functional.grid_sample(image, grid, padding_mode="reflection", align_corners=False)
    torch.testing.assert_close(sample(image, grid), theirs, atol=1e-5, rtol=0)
