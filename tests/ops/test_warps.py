import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ferkit.ops.grids import sampling_grid
from ferkit.ops.warps import bump_displacement, jacobian_determinant, limit_shifts, warp_grid

ONE = torch.tensor([[[0.1, -0.2]]]), torch.tensor([[[0.05, 0.1]]]), torch.tensor([[0.4]])


def identity(size=64):
    return sampling_grid(torch.eye(2, 3)[None], size)


def test_displacement_at_the_centre_halfway_and_beyond():
    center, shift, radius = ONE
    points = center[0] + torch.tensor([[0.0, 0.0], [0.2, 0.0], [0.4, 0.0], [0.3, 0.3]])
    expected = torch.stack([shift[0, 0], (1 - 0.25) ** 2 * shift[0, 0], torch.zeros(2), torch.zeros(2)])
    torch.testing.assert_close(bump_displacement(points[None], center, shift, radius)[0], expected)


def test_bumps_add_up():
    center, shift, radius = ONE
    points = torch.rand(1, 50, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    once = bump_displacement(points, center, shift, radius)
    twice = bump_displacement(points, center.repeat(1, 2, 1), shift.repeat(1, 2, 1), radius.repeat(1, 2))
    torch.testing.assert_close(twice, 2 * once)


def test_one_bump_folds_just_beyond_the_bound():
    center, radius = torch.zeros(1, 1, 2), torch.full((1, 1), 0.8)
    grid = identity(400)
    for share, folds in ((0.99, False), (1.03, True)):
        shift = torch.tensor([[[share * 0.8 * 3 * math.sqrt(3) / 8, 0.0]]])
        assert bool((jacobian_determinant(warp_grid(grid, center, shift, radius, stride=1)) <= 0).any()) is folds


@given(
    centers=arrays("float32", (1, 6, 2), elements=st.floats(-1, 1, width=32)),
    directions=arrays("float32", (1, 6, 2), elements=st.floats(-2, 2, width=32)),
    radii=arrays("float32", (1, 6), elements=st.floats(0.125, 1, width=32)),
    stride=st.sampled_from([1, 4]),
)
def test_limited_shifts_never_fold(centers, directions, radii, stride):
    centers, wanted, radii = (torch.from_numpy(values) for values in (centers, directions, radii))
    shifts = limit_shifts(centers, wanted, radii)
    assert (jacobian_determinant(warp_grid(identity(320), centers, shifts, radii, stride=stride)) > 0).all()
    assert (shifts.norm(dim=-1) <= wanted.norm(dim=-1) + 1e-6).all()


def test_lonely_bump_keeps_a_legal_shift():
    center, shift, radius = ONE
    torch.testing.assert_close(limit_shifts(center, shift, radius), shift)


def test_shifts_are_shortened_no_more_than_needed():
    center, radius = torch.tensor([[[0.1, -0.2], [0.3, 0.1]]]), torch.tensor([[0.4, 0.5]])
    wanted = torch.tensor([[[0.5, 0.0], [-0.3, 0.2]]])
    assert (jacobian_determinant(warp_grid(identity(192), center, wanted, radius, stride=1)) < 0).any()
    shifts = limit_shifts(center, wanted, radius, least=0.2)
    least = jacobian_determinant(warp_grid(identity(192), center, shifts, radius, stride=1)).min().item()
    assert least == pytest.approx(0.2, abs=0.06)
    torch.testing.assert_close(
        shifts / wanted.norm(dim=-1, keepdim=True), wanted * (shifts[0, 0, 0] / 0.5) / wanted.norm(dim=-1, keepdim=True)
    )


def test_only_what_folds_is_limited():
    """Bumps that meet add up where nothing folds; bumps that part add up behind both, where the skin would tear."""
    center, radius = torch.tensor([[[-0.3, 0.0], [0.3, 0.0]]]), torch.tensor([[0.5, 0.5]])
    meeting = torch.tensor([[[0.2, 0.0], [-0.2, 0.0]]])
    torch.testing.assert_close(limit_shifts(center, meeting, radius), meeting)
    assert (limit_shifts(center, -meeting, radius).norm(dim=-1) < 0.16).all()


def test_coarse_grid_is_close_to_the_exact_one():
    center, radius = torch.tensor([[[0.0, 0.4]]]), torch.tensor([[0.3]])
    shift = torch.tensor([[[0.18, 0.0]]])
    exact = warp_grid(identity(112), center, shift, radius, stride=1)
    for stride, pixels in ((2, 0.15), (4, 0.55)):
        assert (warp_grid(identity(112), center, shift, radius, stride) - exact).abs().max().item() * 56 < pixels


def test_grid_outside_the_reach_is_untouched():
    center, shift, radius = ONE
    grid = identity(32)
    far = ((grid - center[0, 0]).norm(dim=-1) > 0.4)[..., None]
    bent = warp_grid(grid, center, shift, radius, stride=1)
    torch.testing.assert_close(torch.where(far, bent, 0), torch.where(far, grid, 0))
