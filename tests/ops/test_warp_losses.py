import math

import pytest
import torch
import torch.nn.functional as F

from ferkit.ops.losses import nt_xent_loss
from ferkit.ops.warp_losses import (
    own_warps_nt_xent_loss,
    warp_gap,
    warp_hinge_loss,
    warp_info_nce_loss,
    warp_repel_loss,
)


def at(*degrees):
    """Unit vectors of the plane at these angles."""
    rad = torch.tensor(degrees, dtype=torch.float32).deg2rad()
    return torch.stack([rad.cos(), rad.sin()], -1)


def vectors(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


PULLS = {
    "hinge": lambda p, z, w: warp_hinge_loss(p, z, w, 0.3),
    "infonce": lambda p, z, w: warp_info_nce_loss(p, z, w, 0.2),
}
TERMS = {**PULLS, "repel": lambda p, z, w: warp_repel_loss(p, w, -0.5)}


@pytest.mark.parametrize(
    ("near_deg", "far_deg", "expected"), [(0, 90, 0.0), (60, 60, 0.3), (90, 0, 1.3), (60, 90, 0.0), (90, 60, 0.8)]
)
def test_hinge_by_hand(near_deg, far_deg, expected):
    loss = warp_hinge_loss(2 * at(0), at(near_deg), 5 * at(far_deg)[None], margin=0.3)
    assert loss.item() == pytest.approx(expected, abs=1e-6)


def test_hinge_is_the_mean_over_rows_and_warps():
    # Cosines of the positives: 1, 0; of the first warps: .5, 0; of the second: 1, -1.
    negatives = torch.stack([at(60, 90), at(0, 180)])
    loss = warp_hinge_loss(at(0, 0), at(0, 90), negatives, margin=0.7)
    assert loss.item() == pytest.approx((0.2 + 0.7 + 0.7 + 0.0) / 4, abs=1e-6)


def test_info_nce_by_hand_with_two_warps():
    loss = warp_info_nce_loss(3 * at(0), at(0), torch.stack([at(60), at(90)]), temperature=0.5)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1) + math.exp(-2)), abs=1e-6)


def test_info_nce_at_equal_distances_is_the_logarithm_of_the_choices():
    same = at(20, 70)
    assert warp_info_nce_loss(same, same, same.expand(4, -1, -1), 0.1).item() == pytest.approx(math.log(5), abs=1e-5)


@pytest.mark.parametrize(
    ("degrees", "threshold", "expected"), [(0, 0.5, 0.5), (60, 0.5, 0.0), (90, -0.25, 0.25), (180, -1.0, 0.0)]
)
def test_repel_by_hand(degrees, threshold, expected):
    assert warp_repel_loss(at(0), 2 * at(degrees)[None], threshold).item() == pytest.approx(expected, abs=1e-6)


def test_repel_is_the_mean_over_rows_and_warps():
    loss = warp_repel_loss(at(0, 0), torch.stack([at(0, 90), at(60, 180)]), threshold=0.25)
    assert loss.item() == pytest.approx((0.75 + 0 + 0.25 + 0) / 4, abs=1e-6)


@pytest.mark.parametrize("term", TERMS)
def test_a_step_down_moves_away_from_the_warps(term):
    prediction, positive, negatives = vectors(6, 16), vectors(6, 16, seed=1), vectors(3, 6, 16, seed=2)
    prediction.requires_grad_()
    loss = TERMS[term](prediction, positive, negatives)
    loss.backward()
    after = prediction.detach() - 0.5 * prediction.grad
    assert TERMS[term](after, positive, negatives) < loss
    away = [F.cosine_similarity(p, negatives, dim=-1).mean() for p in (prediction.detach(), after)]
    assert away[1] < away[0]
    if term in PULLS:
        closer = [F.cosine_similarity(p, positive, dim=-1).mean() for p in (prediction.detach(), after)]
        assert closer[1] > closer[0]


@pytest.mark.parametrize("term", TERMS)
def test_targets_get_no_gradient_and_norms_do_not_matter(term):
    prediction, positive, negatives = (v.requires_grad_() for v in (vectors(4, 8), vectors(4, 8), vectors(2, 4, 8)))
    loss = TERMS[term](prediction, positive, negatives)
    loss.backward()
    assert prediction.grad is not None
    assert positive.grad is None
    assert negatives.grad is None
    torch.testing.assert_close(TERMS[term](3 * prediction, 0.1 * positive, 7 * negatives), loss)


@pytest.mark.parametrize("term", TERMS)
def test_order_of_the_warps_does_not_matter(term):
    prediction, positive, negatives = vectors(4, 8), vectors(4, 8, seed=1), vectors(3, 4, 8, seed=2)
    torch.testing.assert_close(
        TERMS[term](prediction, positive, negatives.flip(0)), TERMS[term](prediction, positive, negatives)
    )


def test_own_warps_by_hand():
    """Two faces at 0 and 90 degrees, each view on its face; the warp of the first at 60, of the second at 180."""
    loss = own_warps_nt_xent_loss(at(0, 90), at(0, 90), at(60, 180)[None], temperature=0.5)
    # A view sees its partner (e^2), the other face twice (1) and its warp: at 60 degrees (e^1), and at 90 (1).
    first = math.log((math.exp(2) + 2 + math.exp(1)) / math.exp(2))
    second = math.log((math.exp(2) + 2 + 1) / math.exp(2))
    assert loss.item() == pytest.approx((first + second) / 2, abs=1e-6)


def test_own_warps_of_one_face_are_all_the_warps_there_are():
    a, b, warps = vectors(1, 8), vectors(1, 8, seed=1), vectors(3, 1, 8, seed=2)
    expected = nt_xent_loss(a, b, 0.2, warps.flatten(0, 1))
    torch.testing.assert_close(own_warps_nt_xent_loss(a, b, warps, 0.2), expected)


def test_own_warps_are_fewer_than_those_of_the_batch():
    a, b, warps = vectors(5, 8), vectors(5, 8, seed=1), vectors(2, 5, 8, seed=2)
    plain, own = nt_xent_loss(a, b, 0.2), own_warps_nt_xent_loss(a, b, warps, 0.2)
    assert plain < own < nt_xent_loss(a, b, 0.2, warps.flatten(0, 1))


def test_own_warps_are_pushed_too():
    a, b, warps = (v.requires_grad_() for v in (vectors(4, 8), vectors(4, 8, seed=1), vectors(2, 4, 8, seed=2)))
    loss = own_warps_nt_xent_loss(a, b, warps, 0.2)
    loss.backward()
    moved = (warps - 0.5 * warps.grad).detach()
    assert F.cosine_similarity(a, moved, dim=-1).mean() < F.cosine_similarity(a, warps, dim=-1).mean()


def test_the_gap_is_how_much_nearer_the_positive_is_and_not_rounded_in_half_precision():
    gap = warp_gap(at(0), 2 * at(60), torch.stack([at(90), 3 * at(180)]))
    assert gap.item() == pytest.approx(0.5 - (0 - 1) / 2, abs=1e-6)

    # Two cosines near 1 whose difference is below bfloat16's spacing there.
    anchor, positive, warp = (
        torch.tensor([row], dtype=torch.bfloat16) for row in ([1.0, 0.0], [64.0, 1.0], [64.0, 2.0])
    )
    expected = 64 / math.hypot(64, 1) - 64 / math.hypot(64, 2)
    assert warp_gap(anchor, positive, warp[None]).item() == pytest.approx(expected, rel=1e-3)
