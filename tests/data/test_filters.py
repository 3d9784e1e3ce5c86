from dataclasses import replace

import pytest

from ferkit.data.faces import faces_to_table
from ferkit.data.filters import FaceFilter
from samples import face

BARE = face()
FACES = [
    replace(BARE, size=40.0, yaw=-30.0, sharpness=0.5),
    replace(BARE, size=39.9, yaw=30.1, sharpness=0.49),
    replace(BARE, size=200.0, yaw=0.0, sharpness=0.9),
    BARE,
]


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, [1, 1, 1, 1]),
        ({"min_size": 40}, [1, 0, 1, 0]),
        ({"max_yaw": 30}, [1, 0, 1, 0]),
        ({"max_yaw": 0}, [0, 0, 1, 0]),
        ({"min_sharpness": 0.49}, [1, 1, 1, 0]),
        ({"min_sharpness": 0}, [1, 1, 1, 0]),
        ({"min_size": 39, "max_yaw": 40, "min_sharpness": 0.6}, [0, 0, 1, 0]),
    ],
)
def test_faces_and_rows_pass_by_one_rule(limits, expected):
    wanted = FaceFilter(**limits)
    assert wanted.keep(FACES).tolist() == wanted.keep_rows(faces_to_table(FACES)).tolist() == list(map(bool, expected))


def test_a_least_score_leaves_out_unsure_faces_and_no_crops():
    faces = [replace(BARE, score=score) for score in (0.94, 0.95, None)]
    assert FaceFilter(min_score=0.95).keep(faces).tolist() == [False, True, True]
    assert FaceFilter(min_score=0.95).keep_rows(faces_to_table(faces)).tolist() == [False, True, True]
