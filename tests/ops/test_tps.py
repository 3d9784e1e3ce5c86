import math

import numpy as np
import pytest
import torch
from scipy.interpolate import RBFInterpolator

from ferkit.ops.tps import thin_plate_spline


def points(*shape, seed=0):
    return torch.rand(*shape, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("smoothing", [0.0, 0.01])
def test_equals_scipy(smoothing):
    centers, values, where = (points(3, *n, seed=i).double() for i, n in enumerate([(15,), (15,), (7, 5)]))
    ours = thin_plate_spline(where, centers, values, smoothing=smoothing)
    for row in range(3):
        theirs = RBFInterpolator(centers[row], values[row], smoothing=smoothing, kernel="thin_plate_spline")
        np.testing.assert_allclose(ours[row].flatten(0, 1), theirs(where[row].flatten(0, 1)), atol=1e-9)


def test_affine_values_are_reproduced_everywhere():
    """The bending energy of an affine map is zero, so nothing else can be the smoothest one."""
    matrix, offset = torch.tensor([[0.3, -0.2], [0.1, 0.5]]), torch.tensor([0.4, -0.7])
    centers, where = points(2, 9), 3 * points(2, 40, seed=1)
    found = thin_plate_spline(where, centers, centers @ matrix + offset)
    torch.testing.assert_close(found, where @ matrix + offset, atol=5e-5, rtol=0)


def test_by_hand_between_four_corners():
    """Alternating values a at the corners of a square bend as a saddle, with weights alternating too."""
    corners = torch.tensor([[[1.0, 1.0], [1.0, -1.0], [-1.0, -1.0], [-1.0, 1.0]]])
    values = torch.tensor([[[1.0], [-1.0], [1.0], [-1.0]]])
    # w (U(0) - 2 U(2) + U(sqrt 8)) = 1; the middle of a side has one corner of each sign at 1 and at sqrt 5.
    weight = 1 / (8 * math.log(8) / 2 - 2 * 4 * math.log(2))
    near, far = 0.5 * math.log(0.5) / 2, 4.5 * math.log(4.5) / 2  # U at (0.5, 0.5) from (1, 1) and from (-1, -1)
    side = 2.5 * math.log(2.5) / 2
    found = thin_plate_spline(torch.tensor([[[1.0, 0.0], [0.5, 0.5]]]), corners, values)
    assert found[0, 0, 0].item() == pytest.approx(0, abs=1e-5)
    assert found[0, 1, 0].item() == pytest.approx(weight * (near + far - 2 * side), rel=1e-4)


def test_smoothing_lets_two_centers_share_a_place():
    centers = torch.tensor([[[-1.0, -1.0], [1.0, -1.0], [0.0, 1.0], [0.2, 0.1], [0.2, 0.1]]])
    values = torch.tensor([[[0.0], [0.0], [0.0], [1.0], [0.0]]])
    found = thin_plate_spline(torch.tensor([[[0.2, 0.1]]]), centers, values, smoothing=1e-6)
    assert found.item() == pytest.approx(0.5, abs=0.01)
