import math

import pytest
import torch
import torch.nn.functional as F

from ferkit.ops.losses import nt_xent_loss
from ferkit.ops.masked_contrast import cut_patches, false_negatives, legible, masked_nt_xent_losses
from samples import at, seeded, vectors

EVERYONE = torch.ones(24, dtype=torch.bool)


def looped(a, b, false_negative, temperature, negatives):
    """L1 and L2 row by row, from their formulas."""
    z = F.normalize(torch.cat([a, b, negatives]), dim=1)
    rows, first, second = 2 * len(a), [], []
    for i in range(rows):
        e = torch.exp(z[i] @ z.T / temperature)
        p, f = (i + len(a)) % rows, int(false_negative[i])
        true = sum(e[n] for n in range(len(z)) if n not in (i, p, f))
        first.append(-torch.log(e[p] / (e[p] + true)))
        second.append(-torch.log(e[f] / (e[f] + true)) if f >= 0 else torch.zeros(()))
    return torch.stack(first).mean(), torch.stack(second).mean()


@pytest.mark.parametrize("warps", [0, 5])
def test_both_terms_equal_a_loop_over_their_formulas(warps):
    a, b, negatives = vectors(6, 8), vectors(6, 8, seed=1), vectors(warps, 8, seed=2)
    chosen = torch.tensor([3, 2, -1, 0, 5, 1, 1, -1, 9, 8, 2, 4])
    found = masked_nt_xent_losses(a, b, chosen, 0.3, negatives if warps else None)
    torch.testing.assert_close(found, looped(a, b, chosen, 0.3, negatives))


def test_by_hand():
    """Two anchors at 0 and 90 degrees, their positives on them; each takes the other anchor for its false negative."""
    a = b = at(0, 90)
    first, second = masked_nt_xent_losses(2 * a, b, torch.tensor([1, 0, 1, 0]), temperature=1.0)
    # Of row 0 remain its partner (e) and row 3 (1); of row 2 its partner (e) and row 3 (1); the pulled ones are at 90.
    assert first.item() == pytest.approx(math.log(1 + math.exp(-1)), abs=1e-6)
    assert second.item() == pytest.approx(math.log(2), abs=1e-6)


def test_the_first_term_lets_go_of_what_nt_xent_pushes_and_the_second_pulls_it():
    """Of two anchors 60 degrees apart, with positives that do not move, only what each does to the other turns both."""
    chosen, b = torch.tensor([1, 0, -1, -1]), at(-90, 150)
    for turn, loss in (
        (1, lambda a: nt_xent_loss(a, b, 1.0) - masked_nt_xent_losses(a, b, chosen, 1.0)[0]),
        (-1, lambda a: masked_nt_xent_losses(a, b, chosen, 1.0)[1]),
    ):
        angles = torch.tensor([0.0, 60.0], requires_grad=True)
        loss(torch.stack([angles.deg2rad().cos(), angles.deg2rad().sin()], 1)).backward()
        assert turn * angles.grad[0] > 0 > turn * angles.grad[1]  # down is apart, or together


def test_gradients_are_finite_where_nothing_is_left_to_push():
    a, b = vectors(1, 8).requires_grad_(), vectors(1, 8, seed=1).requires_grad_()
    first, second = masked_nt_xent_losses(a, b, torch.tensor([-1, -1]), 0.07)
    (first + 0.8 * second).backward()
    assert a.grad.isfinite().all()
    assert b.grad.isfinite().all()


def test_half_precision_takes_no_digits():
    a, b = vectors(8, 16).bfloat16(), vectors(8, 16, seed=1).bfloat16()
    chosen = false_negatives(vectors(16, 4), torch.arange(8).repeat(2), EVERYONE[:16])
    with torch.autocast("cpu", torch.bfloat16):
        found = masked_nt_xent_losses(a, b, chosen, 0.05)
    torch.testing.assert_close(found, masked_nt_xent_losses(a.float(), b.float(), chosen, 0.05))


def test_exactly_one_false_negative_and_never_of_the_own_group():
    """The batch as it is: anchors, hard-negative anchors, and the positives of both."""
    group = torch.arange(6).repeat(4)
    descriptors = F.one_hot(group).float() + 0.1 * vectors(24, 6)  # the own group is by far the nearest
    chosen = false_negatives(descriptors, group, EVERYONE)
    similarity = F.normalize(descriptors, dim=1) @ F.normalize(descriptors, dim=1).T
    similarity[group[:, None] == group] = -2
    assert torch.equal(chosen, similarity.argmax(1))
    assert (group[chosen] != group).all()


def test_invalid_rows_neither_choose_nor_are_chosen():
    descriptors = torch.ones(8, 4) + 0.5 * vectors(8, 4)
    descriptors[[2, 5, 7]] = 1.0  # faceless: all the same
    valid = torch.tensor([True, True, False, True, True, False, True, False])
    chosen = false_negatives(descriptors, torch.arange(8), valid)
    assert (chosen[~valid] == -1).all()
    assert valid[chosen[valid]].all()
    assert (false_negatives(vectors(4, 3), torch.zeros(4, dtype=torch.int64), EVERYONE[:4]) == -1).all()  # nobody left


def test_patches_are_what_the_boxes_hold():
    """Boxes that lie on the pixels' edges, at the pixels' own size, are slices."""
    faces = torch.rand(3, 3, 16, 16, generator=seeded())
    left_top, lower = [-1.0, -1.0, 0.0, 0.0], [-0.5, 0.0, 0.5, 1.0]
    boxes = torch.tensor([[left_top, lower], [lower, lower], [lower, left_top]])
    patches = cut_patches(faces, boxes, 8)
    assert patches.shape == (3, 2, 3, 8, 8)
    torch.testing.assert_close(patches[0, 0], faces[0, :, :8, :8])
    torch.testing.assert_close(patches[0, 1], faces[0, :, 8:, 4:12])
    torch.testing.assert_close(patches[2, 1], faces[2, :, :8, :8])


def test_black_and_flat_patches_are_not_legible():
    patches = torch.rand(4, 2, 3, 12, 12, generator=seeded())
    patches[1] = 0
    patches[2, 1] = 0.5 + 0.01 * patches[2, 1]
    patches[3] *= 0.2  # dark, and yet a face
    assert legible(patches).tolist() == [True, False, False, True]
