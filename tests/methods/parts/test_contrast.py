import pytest
import torch

from ferkit.methods.parts.settings import PartsSettings
from ferkit.methods.parts.strategy import PairStrategy, near_frames
from ferkit.methods.views import Described, Mixed
from ferkit.ops.cutmix import mixed_nt_xent_loss
from ferkit.ops.masked_contrast import masked_nt_xent_losses
from samples import at, vectors

TAU = 0.3


A, B, WARPS = vectors(4, 8), vectors(4, 8, seed=1), vectors(3, 8, seed=2)


def described(clip, angles, legible=None):
    """Anchors and positives by the angle of what their eyes and mouth look like."""
    legible = torch.ones(len(clip), 2, dtype=torch.bool) if legible is None else legible
    return Described(torch.tensor(clip), at(*angles), legible)


def contrast(context, pull=0.8, negatives=None, moments=None):
    return PairStrategy(PartsSettings(pull=pull)).contrast(A, B, context, TAU, negatives, moments)


@pytest.mark.parametrize("negatives", [None, WARPS])
def test_the_false_negative_is_found_among_all_rows_of_other_clips(negatives):
    """Anchors (and positives) at these angles; 0 and 1 are of one clip, as anchor and hard negative."""
    context = described([5, 5, 7, 9], [[0, 10], [2, 90], [40, 95], [180, 13]])
    # Rows 0 to 3 are anchors, 4 to 7 their positives. Nearest of another clip, by hand:
    # 0 (0°) -> 7 (13°); 1 (2°) -> 7 (13°); 2 (40°) -> 7 (13°), 27° away, before 4 (10°); 3 (180°) -> 6 (95°);
    # 4 (10°) -> 7 (13°); 5 (90°) -> 6 (95°); 6 (95°) -> 5 (90°); 7 (13°) -> 4 (10°)
    chosen = torch.tensor([7, 7, 7, 6, 7, 6, 5, 4])
    found = contrast(context, negatives=negatives)
    first, second = masked_nt_xent_losses(A, B, chosen, TAU, negatives)
    torch.testing.assert_close(found, {"loss": first + 0.8 * second, "contrast": first, "pull": second})


def test_what_shows_nothing_neither_chooses_nor_is_chosen():
    legible = torch.tensor([[True, False], [True, True], [True, True], [True, False]])
    context = described([5, 5, 7, 9], [[0, 10], [2, 90], [40, 95], [180, 13]], legible)
    # Without rows 4 (10°) and 7 (13°): 0 and 1 -> 2 (40°); 2 -> 1 (2°), 38° away; 3 -> 6; 5 -> 6; 6 -> 5.
    chosen = torch.tensor([2, 2, 1, 6, -1, 6, 5, -1])
    first, second = masked_nt_xent_losses(A, B, chosen, TAU)
    torch.testing.assert_close(contrast(context, pull=0.5)["loss"], first + 0.5 * second)


def test_near_frames_by_hand():
    """Anchors at 0, 2 and 9, positives at 1, 3 and 8; 3 apart is far enough. Never the own positive."""
    moments = torch.tensor([[0, 1], [2, 3], [9, 8]])
    expected = {(0, 0), (0, 1), (1, 1), (1, 3), (2, 2), (3, 3), (3, 4), (4, 4), (5, 5)}
    found = {tuple(place) for place in near_frames(moments, 3).nonzero().tolist()}
    assert found == expected | {(j, i) for i, j in expected}


def test_near_frames_are_spared_by_every_loss_but_positives_stay():
    """Everything of the same moment: what is left in a denominator is the positive, and its softmax is 1."""
    moments = torch.zeros(4, 2, dtype=torch.int64)
    assert contrast(None, moments=moments)["loss"].item() == pytest.approx(0, abs=1e-6)
    context = described([5, 6, 7, 9], [[0, 10], [2, 90], [40, 95], [180, 13]])
    found = contrast(context, moments=moments)
    assert (found["contrast"].item(), found["pull"].item()) == (pytest.approx(0, abs=1e-6),) * 2
    partner, share = torch.tensor([2, 3, 0, 0]), torch.tensor([0.9, 0.5, 0.2, 1.0])
    mixed = contrast(Mixed(partner, share), moments=moments)["loss"]
    free = contrast(Mixed(partner, share))["loss"]
    assert 0 < mixed < free


def test_mixed_positives_have_two_anchors():
    partner, share = torch.tensor([2, 3, 0, 0]), torch.tensor([0.9, 0.5, 0.2, 1.0])
    found = contrast(Mixed(partner, share), negatives=WARPS)
    torch.testing.assert_close(found, {"loss": mixed_nt_xent_loss(A, B, partner, share, TAU, WARPS)})
