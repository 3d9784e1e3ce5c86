import math

import pytest
import torch
from torch import nn

from ferkit.methods.anchors import ANCHORS
from ferkit.methods.unwarp import FaceQueue, Unwarp, UnwarpSettings, _flipped_at_random
from ferkit.methods.views import Views
from samples import seeded, smooth_crops, vectors

TEMPLATE = torch.tensor([[43.5, 43.5], [83.5, 43.5], [63.5, 66.0], [46.9, 89.7], [80.1, 89.7]])


def build(**settings):
    torch.manual_seed(0)
    return Unwarp(nn.Flatten(), 12, UnwarpSettings(views={"size": 16}, projection=4, queue=6, **settings))


def batch_of(count):
    numbers, landmarks = torch.arange(count), TEMPLATE.expand(count, -1, -1).clone()
    crops = smooth_crops(count, cells=5, mode="bilinear")
    return {"crops": crops, "landmarks": landmarks, "row": numbers, "person": numbers // 2}


def views_of(displacement):
    """Random pictures of as many faces as the (K, B, 13, 2) displacement has."""
    warps, count = displacement.shape[:2]
    pictures = vectors(2 + warps, count, 3, 2, 2)
    numbers = torch.arange(count)
    return Views(pictures[0], pictures[1], pictures[2:], displacement=displacement, person=numbers, row=numbers)


def test_displacement_is_how_far_the_warp_moves_each_anchor():
    """The bump that is drawn at the left mouth corner moves that and leaves the brows."""
    settings = {"kind": "bumps", "bumps": [1, 1], "radius": [0.3, 0.3], "strength": [0.5, 0.5], "symmetric": 0}
    views = build(warps={**settings, "spread": 0}).views(batch_of(16), seeded())
    moved = views.displacement[0].norm(dim=2)
    assert moved.shape == (16, len(ANCHORS))
    torch.testing.assert_close(moved.amax(1), torch.full((16,), 0.15), atol=0.03, rtol=0)  # read off the lattice
    assert (moved.median(1).values < 0.03).all()


def test_telling_no_displacement_costs_the_smooth_distance():
    """Three views, of which one was moved by .2 to the right at one of 13 anchors: 2 units, so 2 - 1/2."""
    method = build()
    nn.init.zeros_(method.regressor.weight), nn.init.zeros_(method.regressor.bias)
    displacement = torch.zeros(1, 4, 13, 2)
    displacement[:, :, 5, 0] = 0.2
    figures = method(views_of(displacement))
    assert figures["regress"].item() == pytest.approx(1.5 / (3 * 13 * 2), rel=1e-5)


def test_flipping_takes_the_landmarks_along():
    batch = batch_of(32)
    crops, landmarks = _flipped_at_random(batch["crops"], batch["landmarks"] + torch.tensor([2.0, 1.0]), seeded())
    flipped = (crops != batch["crops"]).flatten(1).any(1)
    assert 0 < flipped.sum() < 32
    torch.testing.assert_close(crops[flipped].flip(2), batch["crops"][flipped], atol=0, rtol=0)
    # The template is its own mirror image about 63.5, so a shift to the right becomes one to the left.
    wanted = TEMPLATE + torch.where(flipped, -2.0, 2.0)[:, None, None] * torch.tensor([1.0, 0]) + torch.tensor([0, 1.0])
    torch.testing.assert_close(landmarks, wanted)


def test_own_warps_are_the_only_negatives_without_strangers():
    """cos(a, b) = 1 and cos(a, w) = 0 at tau 1: log(1 + 1/e), whatever the other face is."""
    method = build(strangers=False, temperature=1, regress=0)
    a = torch.tensor([[1.0, 0, 0, 0], [0.3, 0.4, 0.1, 0.9]])
    warped = torch.tensor([[[0.0, 1, 0, 0], [-0.4, 0.3, 0, 0]]])
    assert method._contrast(a, a, warped, a).item() == pytest.approx(math.log(1 + 1 / math.e), rel=1e-5)


def test_neighbour_is_the_nearest_face_on_another_person():
    queue = FaceQueue(4, 2, 3)
    features = torch.tensor([[5.0, 0], [4.0, 0.5], [-5, 0], [-4, -0.5]])
    projections = torch.eye(4)[:, :3]
    assert not queue.nearest(features, torch.tensor([0, 0, 1, 1]))[1].any()  # empty
    queue.push(features, projections, torch.tensor([0, 1, 2, 2]), torch.arange(4))
    nearest, known = queue.nearest(torch.tensor([[5.0, 0]]), torch.tensor([0]))
    assert known.all()
    assert nearest.tolist() == [[0, 1, 0]]


def test_other_pictures_of_the_person_are_negatives():
    """With all cosines 0, the positive stands among itself and one more picture of the person: log 2."""
    method = build(neighbours=1, strangers=False, temperature=1)
    method.predictor = nn.Identity()
    person, row = torch.tensor([7, 7, 8]), torch.tensor([0, 1, 2])
    method.queue.push(torch.eye(3, 12), torch.eye(4)[[1, 2, 3]], person, row)
    views = Views(None, None, None, person=person[:1], row=row[:1])
    prediction = torch.tensor([[1.0, 0, 0, 0]])
    features = torch.eye(3, 12)[:1]
    loss = method.eval()._neighbours(prediction, prediction, features, views)
    assert loss.item() == pytest.approx(math.log(2) + 2, rel=1e-5)  # and 2 - 2 cos of the regression
