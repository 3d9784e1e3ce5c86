import numpy as np
import pytest

from ferkit.errors import InputError
from ferkit.faces.choose import FACES_POLICIES, choose
from ferkit.faces.detect import Detections


def found(*boxes):
    count = len(boxes)
    landmarks = np.zeros((count, 5, 2), np.float32)
    return Detections(np.float32(boxes).reshape(count, 4), np.linspace(1, 0.5, count, dtype=np.float32), landmarks)


# In an image of 101 x 101, whose middle is (50, 50): a large face in the corner, a small one in the middle.
CORNER, MIDDLE = (0, 0, 40, 40), (40, 40, 60, 60)


@pytest.mark.parametrize(("which", "rows"), [("all", [0, 1]), ("largest", [0]), ("center", [1])])
def test_policies(which, rows):
    # center: 1600 - 2 * (30^2 + 30^2) = -2000 against 400 - 0
    assert choose(found(CORNER, MIDDLE), (101, 101), which).tolist() == rows


def test_a_face_that_is_large_enough_wins_from_beside_the_center():
    # 3600 - 2 * 10^2 * 2 = 3200 against 400
    assert choose(found(MIDDLE, (10, 10, 70, 70)), (101, 101), "center").tolist() == [1]


@pytest.mark.parametrize("which", FACES_POLICIES)
def test_nobody_is_nobody(which):
    assert choose(found(), (10, 10), which).tolist() == []


def test_an_unknown_policy_is_refused_even_where_there_is_nobody():
    with pytest.raises(InputError, match="all, largest, center, not 'biggest'"):
        choose(found(), (10, 10), "biggest")
