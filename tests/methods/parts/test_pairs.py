import pytest
import torch

from ferkit.methods.parts.pairs import draw_pairs, inner_face
from ferkit.methods.parts.settings import PartsSettings
from ferkit.ops.face_swap import swap_faces
from samples import seeded

SIZE = 48
CLIP = torch.tensor([0, 0, 1, 2])
"""Of these, face 2 has no hard negative, and a face of clip 0 in its place."""


def crops(seed, count=4):
    return torch.randint(40, 220, (count, SIZE, SIZE, 3), generator=seeded(seed)).byte()


def batch():
    return {
        "crops": crops(0),
        "positive": crops(1),
        "hard_negative": crops(2),
        "hard_positive": crops(3),
        "clip": CLIP,
        "hard_negative_clip": torch.tensor([0, 0, 0, 2]),
        **{
            name: torch.arange(4) + second
            for second, name in enumerate(("moment", "positive_moment", "hard_negative_moment", "hard_positive_moment"))
        },
        "landmarks": torch.rand(4, 5, 2),
        "hard_negative_landmarks": torch.rand(4, 5, 2),
    }


def pairs_of(parts, seed=0, faces=None, **settings):
    return draw_pairs(faces or batch(), PartsSettings(parts=parts, **settings), seeded(seed))


def test_without_parts_each_face_is_its_own_positive_and_nothing_is_drawn():
    faces, generator = {"crops": crops(0)}, seeded()
    pairs = draw_pairs(faces, PartsSettings(), generator)
    assert pairs.anchors is pairs.positives is faces["crops"]
    assert pairs.clip is pairs.mixed is pairs.landmarks is pairs.moments is None
    assert torch.equal(torch.rand(3, generator=generator), torch.rand(3, generator=seeded()))


def test_hard_negatives_are_anchors_behind_the_others_with_their_own_positives():
    faces = batch()
    pairs = pairs_of("time-aug,hard-neg", faces=faces)
    assert torch.equal(pairs.anchors, torch.cat([crops(0), crops(2)]))
    assert torch.equal(pairs.positives, torch.cat([crops(1), crops(3)]))
    assert pairs.clip.tolist() == [0, 0, 1, 2, 0, 0, 0, 2]
    assert pairs.moments.tolist() == [[0, 1], [1, 2], [2, 3], [3, 4], [2, 3], [3, 4], [4, 5], [5, 6]]
    assert torch.equal(pairs.landmarks, torch.cat([faces["landmarks"], faces["hard_negative_landmarks"]]))


def wearer(swapped, inner):
    """Which of the batch's faces stands around the inner face of each swapped one; -1 for none."""
    rows = []
    for face, own in zip(swapped, inner, strict=True):
        around = inner_face(SIZE) == 0
        found = [row for row, outer in enumerate(crops(0)) if torch.equal(face[around], outer[around])]
        rows.append(found[0] if found else -1)
        if not found:
            assert torch.equal(face, own)
    return torch.tensor(rows)


def test_a_positive_and_that_of_its_hard_negative_wear_the_same_strangers_face_if_any_and_anchors_stay():
    alone = 0
    for seed in range(20):
        pairs = pairs_of("time-aug,hard-neg,face-swap", seed)
        assert torch.equal(pairs.anchors, torch.cat([crops(0), crops(2)]))
        assert torch.equal(pairs.unpainted, torch.cat([crops(1), crops(3)]))
        worn = wearer(pairs.positives, pairs.unpainted)
        both = (worn[:4] >= 0) & (worn[4:] >= 0)
        assert torch.equal(worn[:4][both], worn[4:][both])
        alone += ((worn[:4] >= 0) ^ (worn[4:] >= 0)).sum().item()
        swapped = worn[:4] >= 0
        assert (CLIP[worn[:4]][swapped] != CLIP[swapped]).all()
    assert alone / 80 == pytest.approx(2 * 0.8 * 0.2, abs=0.12)  # each draws for itself


def test_positives_are_swapped_with_their_chance_and_by_the_function_that_swaps():
    mask, worn = inner_face(SIZE), []
    for seed in range(100):
        pairs = pairs_of("time-aug,face-swap", seed)
        worn.append(wearer(pairs.positives, pairs.unpainted))
    share = (torch.cat(worn) >= 0).float().mean().item()
    assert share == pytest.approx(0.8, abs=0.06)
    chosen = worn[-1] >= 0
    expected = swap_faces(crops(1), crops(0)[worn[-1]], mask, chosen)
    torch.testing.assert_close(pairs.positives, expected, atol=0, rtol=0)
    assert torch.equal(pairs_of("time-aug,face-swap", swap=0).positives, crops(1))


def test_mixed_positives_show_both_faces_by_their_share_of_the_inner_face():
    weights = inner_face(SIZE)
    for seed in range(5):
        pairs = pairs_of("time-aug,hard-neg,cutmix", seed)
        partner, share = pairs.mixed.partner, pairs.mixed.share
        assert (pairs.clip[partner] != pairs.clip).all()
        own = (pairs.positives == pairs.unpainted).all(-1)
        others = (pairs.positives == pairs.unpainted[partner]).all(-1)
        assert (own | others).all()
        torch.testing.assert_close((own * weights).sum((1, 2)) / weights.sum(), share, atol=1e-3, rtol=0)
        assert 0.1 < share.mean() < 0.95


def test_the_inner_face_holds_eyes_and_mouth_but_neither_hair_nor_chin():
    mask = inner_face(128)
    assert all(mask[y, x] > 0.99 for x, y in [(43, 43), (84, 43), (63, 66), (47, 90), (80, 90)])
    assert all(mask[y, x] == 0 for x, y in [(63, 4), (4, 64), (123, 64), (63, 120)])
    torch.testing.assert_close(mask, mask.flip(1), atol=0.05, rtol=0)  # the template's middle is at 63.5
