import math

import pytest
import torch

from ferkit.ops.losses import alignment, spread, uniformity
from samples import at

CORNERS = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [0.0, -5.0]])


@pytest.mark.parametrize(("angle_deg", "expected"), [(0, 0.0), (60, 1.0), (90, 2.0), (180, 4.0)])
def test_alignment_is_the_squared_chord(angle_deg, expected):
    assert alignment(7 * at(0), at(angle_deg)).item() == pytest.approx(expected, abs=1e-6)


def test_uniformity_of_the_corners_of_a_square():
    # Four sides of squared length 2 and two diagonals of 4, norms not counting.
    expected = math.log((4 * math.exp(-4) + 2 * math.exp(-8)) / 6)
    assert uniformity(CORNERS).item() == pytest.approx(expected, abs=1e-6)


def test_spread_is_one_about_the_origin_and_what_the_mean_leaves():
    assert spread(CORNERS).item() == pytest.approx(1, abs=1e-6)
    # The mean of these two unit vectors is (0.5, 0.5), of squared length 0.5.
    assert spread(CORNERS[:2]).item() == pytest.approx(math.sqrt(0.5), abs=1e-6)
