import collections

import pyarrow.parquet as pq
import pytest

from ferkit.data.expressions import EXPRESSIONS, expression
from ferkit.data.sources.layouts.fer2013 import majority


@pytest.mark.parametrize(
    ("word", "expected"), [("Happy", "happiness"), (" SAD ", "sadness"), ("Anger", "anger"), ("Other", "other")]
)
def test_words(word, expected):
    assert expression(word) == expected


@pytest.mark.parametrize(
    ("votes", "expected"),
    [
        ("10 0 0 0 0 0 0 0 0 0", "neutral"),
        ("0 0 0 0 0 0 0 10 0 0", "contempt"),
        ("2 1 1 1 1 1 1 1 1 0", "neutral"),
        ("5 5 0 0 0 0 0 0 0 0", None),
        ("5 0 0 0 0 0 0 0 5 0", None),
        ("4 0 0 0 0 0 0 0 6 0", None),
        ("4 0 0 0 0 0 0 0 0 6", None),
    ],
)
def test_majority(votes, expected):
    assert majority(votes.split()) == expected


@pytest.mark.parametrize("votes", ["", "1 2", "1 0 0 0 0 0 0 0 0 -1", "1 0 0 0 0 0 0 0 0 x"])
def test_what_is_no_vote(votes):
    with pytest.raises(ValueError, match=r"votes|invalid literal"):
        majority(votes.split())


def test_majority_agrees_with_labels_made_elsewhere(data_dir):
    choices = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt", "unknown", "NF")
    rows = pq.read_table(data_dir / "ferplus" / "valid.parquet", columns=[*choices, "label"]).to_pylist()
    labels = [majority([str(row[choice]) for choice in choices]) for row in rows]
    assert labels == [row["label"] for row in rows]
    assert set(collections.Counter(labels)) == {*EXPRESSIONS, None}
