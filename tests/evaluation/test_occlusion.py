import numpy as np
import pytest

from ferkit.evaluation.occlusion import occlusion_map, patch_count


def test_the_region_that_decides_is_found_and_its_worth_is_the_probability_that_it_carried():
    # The "classifier" says .9 while the dark pixel at (5, 2) is there, and .3 where it is not.
    crops = np.full((3, 8, 8, 3), 200, np.uint8)
    crops[:, 5, 2] = 0
    found = occlusion_map(lambda c: np.where(c[:, 5, 2, 0] == 0, 0.9, 0.3), crops, patch=1 / 4, stride=1 / 4)
    expected = np.zeros((8, 8))
    expected[4:6, 2:4] = 0.6  # the one 2 x 2 patch that covers it
    np.testing.assert_allclose(found.drop, expected)
    assert found.probability == pytest.approx(0.9)
    assert found.faces == 3


def test_of_the_patches_over_a_pixel_those_with_their_middle_near_it_weigh_more():
    crops = np.zeros((1, 4, 4, 3), np.uint8)
    crops[0, 0, 0] = 200
    # Patches of 3 px begin at 0 and 1; along a side they weigh 1, 2, 1. The one at (0, 0) costs 1, the others nothing.
    found = occlusion_map(lambda c: (c[:, 0, 0, 0] == 200) + 0.0, crops, patch=3 / 4, stride=1 / 4)
    along = np.array([1, 2 / 3, 1 / 3, 0])  # at the second pixel 2 of 2 + 1, at the third 1 of 1 + 2
    np.testing.assert_allclose(found.drop, np.outer(along, along))


def test_a_patch_has_its_faces_own_mean_colour():
    seen = []
    crops = np.zeros((2, 4, 4, 3), np.uint8)
    crops[0] = (10, 20, 30)
    crops[1, :2] = 100

    def remember(given):
        seen.append(given.copy())
        return np.zeros(len(given))

    occlusion_map(remember, crops, patch=1.0, stride=1.0)
    assert len(seen) == patch_count(4, patch=1.0, stride=1.0) == 2
    assert np.array_equal(seen[0], crops)
    assert (seen[1][0] == (10, 20, 30)).all()
    assert (seen[1][1] == 50).all()
