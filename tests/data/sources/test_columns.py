from pathlib import Path

import pytest

from ferkit.data.sources import SourceRules
from ferkit.data.sources.columns import find_columns, read_facts
from ferkit.errors import InputError

NOTHING = dict.fromkeys(("label", "identity", "clip", "time_s", "box", "valence", "arousal"))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["subDirectory_filePath", "Expression"], {"image": "subDirectory_filePath", "label": "Expression"}),
        (["emotion", "label", "pth"], {"image": "pth", "label": "label"}),  # the more usual name
        (["path", "image"], {"image": "image"}),
        (["Image", "image"], {"image": "Image"}),  # the first of those that differ in capitals
        (["file_name", "subject", "name"], {"image": "file_name", "identity": "subject"}),
        (["file", "x0", "y0", "x1", "y1"], {"image": "file", "x0": "x0", "y0": "y0", "x1": "x1", "y1": "y1"}),
        (["frame"], {}),
    ],
)
def test_columns_by_their_usual_names(names, found):
    assert find_columns(names, SourceRules(), Path("x.csv")) == found


def test_columns_by_the_users_names():
    rules = SourceRules(columns={"image": "crop", "label": "AU12"})
    assert find_columns(["image", "crop", "AU12"], rules, Path("x.csv")) == {"image": "crop", "label": "AU12"}
    with pytest.raises(InputError, match=r"'x\.csv' has no column 'crop'.*a, b"):
        find_columns(["a", "b"], rules, Path("x.csv"))


@pytest.mark.parametrize(
    ("values", "facts"),
    [
        ({}, {}),
        ({"label": " joy ", "identity": 7, "clip": ""}, {"label": "joy", "identity": "7"}),
        ({"time_s": "1.5", "valence": "-1", "arousal": 0.25}, {"time_s": 1.5, "valence": -1.0, "arousal": 0.25}),
        ({"time_s": "nan", "valence": -2, "arousal": "1.01"}, {}),
        ({"box": "1, 2.5,3,4"}, {"box": (1, 2.5, 3, 4)}),
        ({"box": "[1, 2, 3, 4]"}, {"box": (1, 2, 3, 4)}),
        ({"box": [1, 2, 3, 4]}, {"box": (1, 2, 3, 4)}),
        ({"box": None}, {}),
        ({"x0": "1", "y0": "2", "x1": "3", "y1": "4"}, {"box": (1, 2, 3, 4)}),
    ],
)
def test_what_values_mean(values, facts):
    assert read_facts(values) == NOTHING | facts


@pytest.mark.parametrize(
    "values",
    [
        {"time_s": "soon"},
        {"box": "1,2,3"},
        {"box": "[[1],2,3,4]"},
        {"box": [3, 0, 1, 1]},
        {"box": [0, 0, float("inf"), 1]},
        {"x0": "1"},
    ],
)
def test_values_that_mean_nothing(values):
    with pytest.raises(ValueError, match=next(iter(values)).rstrip("0")):
        read_facts(values)
