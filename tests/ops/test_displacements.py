import math

import pytest
import torch

from ferkit.ops.displacements import bump_displacement, smooth_noise
from ferkit.ops.grids import sampling_grid
from samples import vectors


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
    noise = vectors(2, 500, 21, 21)
    field = smooth_noise(noise, side=41, extent=2.5, sigma=torch.tensor([0.1, 0.3]))
    torch.testing.assert_close(field.var(1), torch.ones(2, 41, 41), atol=0.35, rtol=0)
    rough, smooth = field[..., 8:33, 8:33].diff(dim=3).square().mean((1, 2, 3))
    # The variance of a step h of a field behind a Gaussian is 2 (1 - exp(-h^2 / 4 sigma^2)).
    for measured, sigma in ((rough, 0.1), (smooth, 0.3)):
        assert measured.item() == pytest.approx(2 * (1 - math.exp(-((0.0625 / sigma) ** 2) / 4)), rel=0.1)


# Bumps

ONE = torch.tensor([[[0.1, -0.2]]]), torch.tensor([[[0.05, 0.1]]]), torch.tensor([[0.4]])


def test_displacement_at_the_centre_halfway_and_beyond():
    center, shift, radius = ONE
    points = center[0] + torch.tensor([[0.0, 0.0], [0.2, 0.0], [0.4, 0.0], [0.3, 0.3]])
    expected = torch.stack([shift[0, 0], (1 - 0.25) ** 2 * shift[0, 0], torch.zeros(2), torch.zeros(2)])
    torch.testing.assert_close(bump_displacement(points[None], center, shift, radius)[0], expected)


@pytest.mark.parametrize(("share", "folds"), [(0.99, False), (1.03, True)])
def test_one_bump_folds_just_beyond_the_bound(jacobian_determinant, share, folds):
    grid = sampling_grid(torch.eye(2, 3)[None], 400)
    shift = torch.tensor([[[share * 0.8 * 3 * math.sqrt(3) / 8, 0.0]]])
    bent = grid - bump_displacement(grid, torch.zeros(1, 1, 2), shift, torch.full((1, 1), 0.8))
    assert bool((jacobian_determinant(bent) <= 0).any()) is folds
