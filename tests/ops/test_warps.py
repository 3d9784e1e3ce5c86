import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ferkit.ops.grids import affine_matrices, sampling_grid
from ferkit.ops.warps import REACH, SIDE, Warp, fade_out, lattice, limit_folds


def displacement(function):
    """(1, 2, SIDE, SIDE) from a function of the lattice's x and y."""
    x, y = lattice(torch.device("cpu")).unbind(-1)
    return torch.stack(function(x, y))[None]


def test_lattice_is_read_off_linearly_and_is_zero_beyond():
    warp = Warp(displacement(lambda x, y: (0.3 * x + 0.1, -0.2 * y)))
    points = torch.tensor([[[[0.11, -0.57], [-0.93, 1.2], [REACH + 0.2, 0.0]]]])
    torch.testing.assert_close(warp.at(points), torch.tensor([[[[0.133, 0.114], [-0.179, -0.24], [0.0, 0.0]]]]))


def test_bending_subtracts_the_displacement():
    warp = Warp(displacement(lambda x, y: (0.2 * y, 0.1 * x)))
    grid = sampling_grid(torch.tensor([[[0.8, 0.1, 0.05], [-0.1, 0.7, 0.0]]]), 32)
    for stride in (1, 4):  # what is linear loses nothing between the points
        torch.testing.assert_close(
            warp.bend(grid, stride), grid - torch.stack([0.2 * grid[..., 1], 0.1 * grid[..., 0]], -1)
        )


def test_largest_strength_by_hand():
    """A shear never folds; shrinking x by the share g has the determinant 1 - g, and both (1 - g)^2."""
    shear = displacement(lambda x, y: (3 * y, 0 * x))
    torch.testing.assert_close(limit_folds(shear), shear)
    for strong, limited in (((2.0, 0.0), 0.8), ((-2.0, 0.0), -2.0), ((0.5, 0.0), 0.5), ((2.0, 2.0), 1 - 0.2**0.5)):
        squeeze = displacement(lambda x, y, g=strong: (g[0] * x, g[1] * y))
        expected = squeeze * (limited / strong[0])
        torch.testing.assert_close(limit_folds(squeeze, least=0.2), expected, atol=1e-4, rtol=0)


def test_each_warp_is_limited_by_itself():
    wild = displacement(lambda x, y: (2 * x, 0 * x))
    still = torch.zeros_like(wild)
    limited = limit_folds(torch.cat([wild, still, 0.1 * wild]))
    torch.testing.assert_close(limited, torch.cat([0.4 * wild, still, 0.1 * wild]), atol=1e-4, rtol=0)


@given(
    planes=arrays("float32", (1, 2, 6, 6), elements=st.floats(-2, 2, width=32)),
    scale=st.floats(0.5, 1.2),
    aspect=st.floats(0.8, 1.25),
    angle=st.floats(-0.5, 0.5),
    flip=st.booleans(),
    stride=st.sampled_from([1, 4]),
)
def test_limited_displacements_never_fold(jacobian_determinant, planes, scale, aspect, angle, flip, stride):
    """Whatever is limited stays one-to-one behind any affine view, and a mirrored view is mirrored everywhere."""
    smooth = torch.nn.functional.interpolate(torch.from_numpy(planes), SIDE, mode="bicubic", align_corners=True)
    warp = Warp(limit_folds(smooth * fade_out(smooth.device)))
    matrices = affine_matrices(*(torch.tensor([v]) for v in (scale, aspect, angle, (0.1, -0.1), flip)))
    determinant = jacobian_determinant(warp.bend(sampling_grid(matrices, 112), stride))
    assert ((determinant < 0) if flip else (determinant > 0)).all()
    assert (warp.displacement.abs() <= smooth.abs() + 1e-6).all()


def test_the_limit_is_reached_and_not_passed(jacobian_determinant):
    noise = torch.randn(20, 2, 6, 6, generator=torch.Generator().manual_seed(0))
    wild = torch.nn.functional.interpolate(noise, SIDE, mode="bicubic", align_corners=True)
    limited = limit_folds(wild * fade_out(wild.device), least=0.2)
    points = lattice(wild.device)
    step = 2 * REACH / (SIDE - 1)
    bent = points - limited.movedim(1, -1)
    cells = jacobian_determinant(bent) * (2 / SIDE / step) ** 2
    assert (cells.amin((1, 2)) >= 0.2 - 1e-4).all()
    assert cells.amin((1, 2)).median().item() == pytest.approx(0.2, abs=0.05)
