import pytest
import torch

from ferkit.ops.blur import gaussian_blur
from ferkit.ops.grids import affine_matrices, sample, sampling_grid
from ferkit.ops.pictures import sample_pictures
from samples import seeded, smooth_crops

PICTURES = smooth_crops(6, cells=8, mode="bilinear")[:, :40, :48].contiguous()


def grids(count=6, size=32):
    generator = seeded(1)
    views = {
        "scale": 0.6 + 0.6 * torch.rand(count, generator=generator),  # past the borders too
        "aspect": torch.full((count,), 1.1),
        "angle": torch.randn(count, generator=generator) / 4,
        "shift": torch.randn(count, 2, generator=generator) / 10,
        "flip": torch.arange(count) % 2 == 0,
    }
    return sampling_grid(affine_matrices(**views), size)


@pytest.mark.parametrize("sigma", [0.0, 0.2, 0.5, 1.5, 4.0])
def test_equals_grid_sample_and_blur_within_rounding(sigma):
    sigmas = torch.full((6,), sigma)
    planes, means = sample_pictures(PICTURES, grids(), sigmas)
    sharp = sample(PICTURES.permute(0, 3, 1, 2).float(), grids())
    torch.testing.assert_close(means, sharp.mean((2, 3)), atol=0.3, rtol=0)
    # Half a level from each rounding; older OpenCV also rounds coordinates to a 32nd of a pixel.
    difference = (planes.float() - gaussian_blur(sharp, sigmas)).abs()
    assert difference.max() <= 1.6
    assert difference.mean() < 0.5
