import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from ferkit.methods.anchors import ANCHORS, MIRRORED, anchor_points
from ferkit.methods.views import ViewMaker, ViewSettings, Warp, WarpSettings, draw_warps, to_float
from ferkit.ops.grids import sampling_grid
from ferkit.ops.warps import jacobian_determinant, warp_grid

PLAIN = ViewSettings(scale=(1, 1), aspect=(1, 1), rotation=0, flip=0, jitter=0, gray=0, blur=0, size=128)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def faces(count, size=128, seed=0):
    coarse = torch.rand(count, 3, 16, 16, generator=seeded(seed))
    return torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 1)


def test_mirror_pairs_are_reflections():
    points = anchor_points()
    torch.testing.assert_close(points[list(MIRRORED)], points * torch.tensor([-1.0, 1.0]))
    assert [name.replace("left", "right") for name in list(ANCHORS)[:5]] == list(ANCHORS)[5:10]


def test_to_float_is_rgb_over_255():
    crops = torch.randint(0, 256, (2, 5, 7, 3), dtype=torch.uint8, generator=seeded())
    torch.testing.assert_close(to_float(crops), crops.permute(0, 3, 1, 2) / 255)


def test_plain_view_only_normalises():
    images = faces(2)
    view = ViewMaker(PLAIN)(images, seeded())
    expected = (images - torch.tensor(PLAIN.mean).view(3, 1, 1)) / torch.tensor(PLAIN.std).view(3, 1, 1)
    torch.testing.assert_close(view, expected, atol=1e-5, rtol=0)


def test_same_generator_same_view_and_each_image_its_own():
    images = faces(1).expand(4, -1, -1, -1)
    maker = ViewMaker(ViewSettings(size=64))
    first, again, other = maker(images, seeded(1)), maker(images, seeded(1)), maker(images, seeded(2))
    torch.testing.assert_close(first, again, atol=0, rtol=0)
    assert (first - other).abs().mean() > 0.05
    assert all((first[0] - view).abs().mean() > 0.05 for view in first[1:])


@pytest.mark.parametrize("symmetric", [0.0, 1.0])
def test_drawn_warps_never_fold(symmetric):
    settings = WarpSettings(symmetric=symmetric, bumps=(3, 8), strength=(0.4, 0.6))
    warp = draw_warps(200, settings, seeded())
    grid = sampling_grid(torch.eye(2, 3).expand(200, -1, -1), 160)
    assert (jacobian_determinant(warp_grid(grid, warp.centers, warp.shifts, warp.radii)) > 0).all()


def test_drawn_warps_keep_their_ranges():
    settings = WarpSettings(bumps=(2, 4), radius=(0.25, 0.3), strength=(0.2, 0.5), symmetric=0)
    warp = draw_warps(500, settings, seeded())
    moved = warp.shifts.norm(dim=-1) > 0
    assert set(moved.sum(1).tolist()) == {2, 3, 4}
    assert (warp.radii >= 0.25).all()
    assert (warp.radii <= 0.3).all()
    assert (warp.shifts.norm(dim=-1) <= 0.5 * warp.radii + 1e-6).all()


def test_symmetric_warp_commutes_with_mirroring():
    warp = draw_warps(8, WarpSettings(symmetric=1, bumps=(3, 3), spread=0), seeded())
    grid = sampling_grid(torch.eye(2, 3).expand(8, -1, -1), 64)
    bent = warp_grid(grid, warp.centers, warp.shifts, warp.radii, stride=1) - grid
    off_axis = [i for i in range(8) if warp.centers[i, :3, 0].abs().min() > 1e-3]
    assert off_axis
    mirrored = bent.flip(2) * torch.tensor([-1.0, 1.0])
    torch.testing.assert_close(bent[off_axis], mirrored[off_axis], atol=1e-5, rtol=0)


def test_resampling_gives_no_shortcut():
    """A classifier of local texture cannot tell a view behind a warp of zero strength from one behind none."""
    images = faces(600)
    maker = ViewMaker(ViewSettings(size=56))
    still = draw_warps(600, WarpSettings(), seeded(3))
    still = Warp(still.centers, torch.zeros_like(still.shifts), still.radii)
    views = torch.cat([maker(images, seeded(1)), maker(images, seeded(2), still)])
    across, down = views.diff(dim=3), views.diff(dim=2)
    texture = torch.stack(
        [t.abs().mean((1, 2, 3)) for t in (across, down, across.diff(dim=3), down.diff(dim=2), views)], 1
    )
    features = np.log(texture.numpy())
    label = np.repeat([0, 1], 600)
    order = np.random.default_rng(0).permutation(1200)
    fit, held = order[:800], order[800:]
    model = LogisticRegression(C=100, max_iter=1000).fit(features[fit], label[fit])
    # 400 held-out views: chance is 0.5 with a standard error of 0.025.
    assert abs(model.score(features[held], label[held]) - 0.5) < 0.08
