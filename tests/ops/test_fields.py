import math

import pytest
import torch

from ferkit.ops.displacements import smooth_noise


def test_one_impulse_becomes_a_gaussian_of_the_asked_width():
    noise = torch.zeros(1, 1, 21, 21)
    noise[0, 0, 10, 10] = 1
    field = smooth_noise(noise, side=41, extent=2.0, sigma=torch.tensor([0.2]))[0, 0]
    assert field.argmax().item() == 20 * 41 + 20
    # Four points of 0.05 from the middle are one sigma.
    for along in (field[20, 24], field[24, 20]):
        assert (along / field[20, 20]).item() == pytest.approx(math.exp(-0.5), abs=0.01)
    assert (field[24, 24] / field[20, 20]).item() == pytest.approx(math.exp(-1), abs=0.01)


def test_every_sample_has_its_own_width_and_unit_variance():
    noise = torch.randn(2, 500, 21, 21, generator=torch.Generator().manual_seed(0))
    field = smooth_noise(noise, side=41, extent=2.5, sigma=torch.tensor([0.1, 0.3]))
    torch.testing.assert_close(field.var(1), torch.ones(2, 41, 41), atol=0.35, rtol=0)
    rough, smooth = field[..., 8:33, 8:33].diff(dim=3).square().mean((1, 2, 3))
    # The variance of a step h of a field behind a Gaussian is 2 (1 - exp(-h^2 / 4 sigma^2)).
    for measured, sigma in ((rough, 0.1), (smooth, 0.3)):
        assert measured.item() == pytest.approx(2 * (1 - math.exp(-((0.0625 / sigma) ** 2) / 4)), rel=0.1)
