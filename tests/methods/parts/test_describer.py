import pytest
import torch

from ferkit.methods.parts.pairs import Pairs
from ferkit.methods.parts.strategy import Describer
from samples import noise

EYES, MOUTH = (slice(29, 51), slice(30, 98)), (slice(78, 104), slice(41, 87))
"""Rows and columns of the 128 px crop, from the template: brows to eyes with a margin of 6.4 px, lips with 7.7 px."""
ALL_EYES, ALL_MOUTH = ([slice(side.start - 2, side.stop + 2) for side in box] for box in (EYES, MOUTH))


@pytest.fixture(scope="module")
def describe(small_encoder):
    return Describer(small_encoder())


def faces(seed=0):
    return torch.from_numpy(noise(3, seed=seed))


def pairs(anchors, positives=None, unpainted=None):
    positives = anchors if positives is None else positives
    unpainted = positives if unpainted is None else unpainted
    return Pairs(anchors, positives, unpainted, clip=torch.arange(len(anchors)))


def changed(crops, *boxes, beside=False):
    """Crops with other pixels within boxes, or everywhere beside them."""
    inside = torch.zeros(128, 128, dtype=torch.bool)
    for box in boxes:
        inside[tuple(box)] = True
    return torch.where((inside ^ beside)[..., None], 255 - crops, crops)


def test_eyes_and_mouth_are_described_and_nothing_else(describe):
    crops = faces()
    found = describe(pairs(crops, changed(crops, EYES))).features
    mouth, eyes = found.shape[2] // 2 + torch.arange(found.shape[2] // 2), torch.arange(found.shape[2] // 2)
    torch.testing.assert_close(found[:, 0, mouth], found[:, 1, mouth])
    assert (found[:, 0, eyes] - found[:, 1, eyes]).norm(dim=1).min() > 0.1
    found = describe(pairs(crops, changed(crops, MOUTH))).features
    torch.testing.assert_close(found[:, 0, eyes], found[:, 1, eyes])
    assert (found[:, 0, mouth] - found[:, 1, mouth]).norm(dim=1).min() > 0.1
    found = describe(pairs(crops, changed(crops, ALL_EYES, ALL_MOUTH, beside=True))).features
    torch.testing.assert_close(found[:, 0], found[:, 1])


def test_positives_are_described_before_they_were_painted(describe):
    described = describe(pairs(faces(), faces(seed=1), unpainted=faces(seed=2)))
    torch.testing.assert_close(described.features[:, 1], describe(pairs(faces(seed=2))).features[:, 0])
    assert described.clip.tolist() == [0, 1, 2]


def test_black_faces_and_covered_mouths_are_not_legible(describe):
    crops = faces()
    crops[1] = 0
    covered = crops.clone()
    covered[0][tuple(ALL_MOUTH)] = 90
    assert describe(pairs(crops, covered)).legible.tolist() == [[True, False], [False, False], [True, True]]
