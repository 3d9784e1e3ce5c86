import math

import pytest
import torch

from ferkit.ops.warp_losses import (
    own_warps_info_nce_loss,
    own_warps_nt_xent_loss,
    warp_gap,
    warp_hinge_loss,
    warp_repel_loss,
)
from samples import at, vectors

PULLS = {
    "hinge": lambda p, z, w: warp_hinge_loss(p, z, w, 0.3),
    "infonce": lambda p, z, w: own_warps_info_nce_loss(p, z.detach(), w.detach(), 0.2),
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
    loss = own_warps_info_nce_loss(3 * at(0), at(0), torch.stack([at(60), at(90)]), temperature=0.5)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1) + math.exp(-2)), abs=1e-6)


@pytest.mark.parametrize(
    ("degrees", "threshold", "expected"), [(0, 0.5, 0.5), (60, 0.5, 0.0), (90, -0.25, 0.25), (180, -1.0, 0.0)]
)
def test_repel_by_hand(degrees, threshold, expected):
    assert warp_repel_loss(at(0), 2 * at(degrees)[None], threshold).item() == pytest.approx(expected, abs=1e-6)


def test_repel_is_the_mean_over_rows_and_warps():
    loss = warp_repel_loss(at(0, 0), torch.stack([at(0, 90), at(60, 180)]), threshold=0.25)
    assert loss.item() == pytest.approx((0.75 + 0 + 0.25 + 0) / 4, abs=1e-6)


@pytest.mark.parametrize("term", TERMS)
def test_targets_get_no_gradient_and_norms_do_not_matter(term):
    prediction, positive, negatives = (v.requires_grad_() for v in (vectors(4, 8), vectors(4, 8), vectors(2, 4, 8)))
    loss = TERMS[term](prediction, positive, negatives)
    loss.backward()
    assert prediction.grad is not None
    assert positive.grad is None
    assert negatives.grad is None
    torch.testing.assert_close(TERMS[term](3 * prediction, 0.1 * positive, 7 * negatives), loss)


def test_own_warps_by_hand():
    """Two faces at 0 and 90 degrees, each view on its face; the warp of the first at 60, of the second at 180."""
    loss = own_warps_nt_xent_loss(at(0, 90), at(0, 90), at(60, 180)[None], temperature=0.5)
    # A view sees its partner (e^2), the other face twice (1) and its warp: at 60 degrees (e^1), and at 90 (1).
    first = math.log((math.exp(2) + 2 + math.exp(1)) / math.exp(2))
    second = math.log((math.exp(2) + 2 + 1) / math.exp(2))
    assert loss.item() == pytest.approx((first + second) / 2, abs=1e-6)


def test_the_gap_is_how_much_nearer_the_positive_is_and_not_rounded_in_half_precision():
    gap = warp_gap(at(0), 2 * at(60), torch.stack([at(90), 3 * at(180)]))
    assert gap.item() == pytest.approx(0.5 - (0 - 1) / 2, abs=1e-6)

    # Two cosines near 1 whose difference is below bfloat16's spacing there.
    anchor, positive, warp = (
        torch.tensor([row], dtype=torch.bfloat16) for row in ([1.0, 0.0], [64.0, 1.0], [64.0, 2.0])
    )
    expected = 64 / math.hypot(64, 1) - 64 / math.hypot(64, 2)
    assert warp_gap(anchor, positive, warp[None]).item() == pytest.approx(expected, rel=1e-3)
