import numpy as np
import pytest
import torch

from ferkit.ops.colour import LUMA
from ferkit.ops.face_swap import inner_face_mask, stranger_rows, swap_faces
from samples import seeded

SIZE = 48
SQUARE = torch.tensor([[-0.5, -0.5], [0.5, 0.5], [0.0, 0.1], [-0.5, 0.5], [0.5, -0.5]])


def crops(count, seed=0, low=60, high=200):
    return torch.randint(low, high, (count, SIZE, SIZE, 3), generator=seeded(seed)).byte()


def mask_of(margin=0.1, feather=0.1):
    return inner_face_mask(SQUARE, SIZE, margin, feather)


def spread(face, weights):
    """Weighted mean colour and standard deviation of the gray, in numpy."""
    pixels, weights = face.double().numpy().reshape(-1, 3), weights.double().numpy().ravel()
    gray = pixels @ np.array(LUMA)
    mean = np.average(pixels, axis=0, weights=weights)
    return mean, np.sqrt(np.average((gray - np.average(gray, weights=weights)) ** 2, weights=weights))


def test_mask_is_the_hull_grown_by_a_disc_with_a_feathered_edge():
    """The distance to a square, derived by hand: along a side it is straight, at a corner round."""
    size, margin, feather = 100, 0.2, 0.1
    mask = inner_face_mask(SQUARE.double(), size, margin, feather)
    center = (np.arange(size) * 2 + 1) / size - 1
    x, y = np.meshgrid(center, center)
    beyond = np.hypot(np.clip(np.abs(x) - 0.5, 0, None), np.clip(np.abs(y) - 0.5, 0, None))
    t = np.clip((margin - beyond) / feather, 0, 1)
    np.testing.assert_allclose(mask, t**2 * (3 - 2 * t), atol=0.01)


def test_outside_the_mask_is_the_outer_face_and_the_unchosen_stay():
    inner, outer, mask = crops(5), crops(5, seed=1), mask_of()
    chosen = torch.tensor([True, False, True, True, False])
    swapped = swap_faces(inner, outer, mask, chosen)
    assert swapped.dtype == torch.uint8
    assert (swapped[chosen][:, mask == 0] == outer[chosen][:, mask == 0]).all()
    assert (swapped[~chosen] == inner[~chosen]).all()
    assert (swapped[chosen][:, mask == 1] != outer[chosen][:, mask == 1]).float().mean() > 0.9


def test_a_face_on_itself_is_itself():
    faces = crops(3)
    difference = swap_faces(faces, faces, mask_of(), torch.ones(3, dtype=torch.bool)).int() - faces.int()
    assert difference.abs().max() <= 1


def test_colour_and_contrast_become_those_of_the_outer_face():
    bright, dark = crops(1, low=150, high=220), crops(1, seed=1, low=20, high=70)
    whole = torch.ones(SIZE, SIZE)
    swapped = swap_faces(bright, dark, whole, torch.tensor([True]))
    (mean, contrast), (wanted_mean, wanted_contrast) = spread(swapped[0], whole), spread(dark[0], whole)
    np.testing.assert_allclose(mean, wanted_mean, atol=0.3)
    assert contrast == pytest.approx(wanted_contrast, rel=0.02)


def test_strangers_are_everybody_else_with_the_same_chances():
    person = torch.tensor([7, 3, 7, 7, 9, 3])
    drawn = (torch.arange(600) + 0.5) / 600
    for row in range(6):
        rows = torch.stack([stranger_rows(person, value.expand(6))[row] for value in drawn])
        allowed = (person != person[row]).nonzero().squeeze(1)
        found, times = rows.unique(return_counts=True)
        assert torch.equal(found, allowed)
        assert (times == 600 // len(allowed)).all()


@pytest.mark.parametrize("persons", [[4, 4, 4], [1]])
def test_one_person_alone_has_no_strangers(persons):
    person = torch.tensor(persons)
    assert (stranger_rows(person, torch.full(person.shape, 0.5)) == -1).all()
    assert len(stranger_rows(person[:0], torch.empty(0))) == 0


def test_the_largest_draw_stays_within_the_batch():
    person = torch.arange(50) // 2
    rows = stranger_rows(person, torch.full((50,), 1 - 2**-24))
    assert (person[rows] != person).all()
