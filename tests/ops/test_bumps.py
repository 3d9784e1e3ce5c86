import math

import pytest
import torch

from ferkit.ops.displacements import bump_displacement
from ferkit.ops.grids import sampling_grid

ONE = torch.tensor([[[0.1, -0.2]]]), torch.tensor([[[0.05, 0.1]]]), torch.tensor([[0.4]])


def test_displacement_at_the_centre_halfway_and_beyond():
    center, shift, radius = ONE
    points = center[0] + torch.tensor([[0.0, 0.0], [0.2, 0.0], [0.4, 0.0], [0.3, 0.3]])
    expected = torch.stack([shift[0, 0], (1 - 0.25) ** 2 * shift[0, 0], torch.zeros(2), torch.zeros(2)])
    torch.testing.assert_close(bump_displacement(points[None], center, shift, radius)[0], expected)


def test_bumps_add_up_and_points_may_be_shared():
    center, shift, radius = ONE
    points = torch.rand(1, 5, 10, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    once = bump_displacement(points, center, shift, radius)
    twice = bump_displacement(points, center.repeat(3, 2, 1), shift.repeat(3, 2, 1), radius.repeat(3, 2))
    torch.testing.assert_close(twice, (2 * once).expand(3, -1, -1, -1))


@pytest.mark.parametrize(("share", "folds"), [(0.99, False), (1.03, True)])
def test_one_bump_folds_just_beyond_the_bound(jacobian_determinant, share, folds):
    grid = sampling_grid(torch.eye(2, 3)[None], 400)
    shift = torch.tensor([[[share * 0.8 * 3 * math.sqrt(3) / 8, 0.0]]])
    bent = grid - bump_displacement(grid, torch.zeros(1, 1, 2), shift, torch.full((1, 1), 0.8))
    assert bool((jacobian_determinant(bent) <= 0).any()) is folds


def test_outside_the_reach_nothing_moves():
    center, shift, radius = ONE
    grid = sampling_grid(torch.eye(2, 3)[None], 32)
    far = (grid - center[0, 0]).norm(dim=-1) > 0.4
    assert bump_displacement(grid, center, shift, radius)[far].abs().max() == 0
