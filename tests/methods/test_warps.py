import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ferkit.faces.template import TEMPLATE
from ferkit.methods.anchors import anchor_points, carry_anchors
from ferkit.methods.views import ViewMaker, ViewSettings
from ferkit.methods.warps import KINDS, WarpSettings, draw_warps
from ferkit.ops.grids import affine_matrices, sampling_grid
from samples import seeded

EVERY_KIND = pytest.mark.parametrize("kind", KINDS)


def identity(count, size=128):
    return sampling_grid(torch.eye(2, 3).expand(count, -1, -1), size)


def moved(warp, size=128):
    """(B, size, size, 2) displacement at the pixels of the crop."""
    return warp.at(identity(len(warp.displacement), size))


@settings(max_examples=60)
@example(kind="tps", placement="landmarks", radius=1.0, strength=1.0, spread=0.3, symmetric=1.0, flip=False, seed=371)
@given(
    kind=st.sampled_from(list(KINDS)),
    placement=st.sampled_from(["landmarks", "template", "uniform"]),
    radius=st.floats(0.1, 1.0),
    strength=st.floats(0.0, 1.0),
    spread=st.sampled_from([0.0, 0.06, 0.3]),
    symmetric=st.sampled_from([0.0, 1.0]),
    flip=st.booleans(),
    seed=st.integers(0, 10_000),
)
def test_no_kind_ever_folds_behind_any_view(
    jacobian_determinant, kind, placement, radius, strength, spread, symmetric, flip, seed
):
    """Wherever a view looks, the warp's own determinant keeps its distance from 0; so does the grid of training."""
    drawn = WarpSettings(
        kind=kind,
        placement=placement,
        bumps=(1, 13),
        radius=(radius, radius),
        strength=(strength, strength),
        spread=spread,
        symmetric=symmetric,
    )
    landmarks = torch.tensor(TEMPLATE) + 4 * torch.randn(4, 5, 2, generator=seeded(seed))
    warp = draw_warps(4, drawn, seeded(seed), landmarks)
    generator = seeded(seed + 1)
    matrices = affine_matrices(
        scale=0.65 + 0.35 * torch.rand(4, generator=generator),
        aspect=torch.tensor([0.9, 1.0, 1.1, 1.0]),
        angle=0.2 * torch.randn(4, generator=generator),
        shift=torch.tensor([0.1, -0.1]).expand(4, 2),
        flip=torch.tensor(flip).expand(4),
    )
    # Differences of a dense grid would mix the slopes of two cells of the warp's lattice, so its own are taken.
    assert (slope_determinant(warp, sampling_grid(matrices, 200)) > 0.199).all()
    determinant = jacobian_determinant(warp.bend(sampling_grid(matrices, 112), stride=4))
    assert ((determinant < 0) if flip else (determinant > 0)).all()


def slope_determinant(warp, points):
    """det du/dx of u(x) = x - d(x) at (B, h, w, 2) points, by the chain rule."""
    points = points.clone().requires_grad_()
    moved_x, moved_y = (points - warp.at(points)).unbind(-1)
    (of_x,), (of_y,) = (torch.autograd.grad(one.sum(), points, retain_graph=True) for one in (moved_x, moved_y))
    return of_x[..., 0] * of_y[..., 1] - of_x[..., 1] * of_y[..., 0]


@EVERY_KIND
def test_a_lonely_shift_is_made_as_asked(kind):
    """Nothing is weakened that does not need it: the strongest displacement is strength times radius."""
    one = WarpSettings(kind=kind, bumps=(1, 1), radius=(0.4, 0.4), strength=(0.2, 0.2), symmetric=0, spread=0)
    strongest = moved(draw_warps(30, one, seeded())).norm(dim=-1).amax((1, 2))
    torch.testing.assert_close(strongest.median(), torch.tensor(0.08), atol=0.012, rtol=0)


@pytest.mark.parametrize("kind", ["bumps", "tps"])
def test_places_are_those_of_the_placement(kind):
    """The shift is found in full at an anchor: of the template, or of the face's own landmarks."""
    one = {"kind": kind, "bumps": (1, 1), "radius": (0.3, 0.3), "strength": (0.3, 0.3), "symmetric": 0, "spread": 0}
    landmarks = (torch.tensor(TEMPLATE) * torch.tensor([1.0, 0.85]) + torch.tensor([0.0, 9.0])).expand(40, -1, -1)
    for placement, given_landmarks, anchors in (
        ("template", landmarks, anchor_points()),
        ("landmarks", None, anchor_points()),
        ("landmarks", landmarks, carry_anchors(landmarks)[0]),
    ):
        warp = draw_warps(40, WarpSettings(placement=placement, **one), seeded(), given_landmarks)
        most = warp.at(anchors.expand(40, 1, -1, -1)).norm(dim=-1)[:, 0].max(1)
        assert most.values.median().item() == pytest.approx(0.09, abs=0.006)
        assert len(most.indices.unique()) > 8


@EVERY_KIND
def test_symmetric_warps_commute_with_mirroring(kind):
    bent = moved(draw_warps(40, WarpSettings(kind=kind, symmetric=1, bumps=(3, 13)), seeded()))
    torch.testing.assert_close(bent, bent.flip(2) * torch.tensor([-1.0, 1.0]), atol=1e-4, rtol=0)
    lopsided = moved(draw_warps(40, WarpSettings(kind=kind, symmetric=0), seeded()))
    assert (lopsided - lopsided.flip(2) * torch.tensor([-1.0, 1.0])).abs().amax((1, 2, 3)).min() > 0.02


@EVERY_KIND
def test_no_strength_moves_nothing(kind):
    warp = draw_warps(3, WarpSettings(kind=kind, strength=(0, 0)), seeded())
    assert warp.displacement.abs().max() < 1e-6
    crops = torch.randint(0, 256, (3, 128, 128, 3), dtype=torch.uint8, generator=seeded())
    maker = ViewMaker(ViewSettings(size=64))
    torch.testing.assert_close(maker(crops, seeded(3), warp), maker(crops, seeded(3)), atol=0.02, rtol=0)
