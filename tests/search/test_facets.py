import numpy as np
import pytest

from ferkit.data.embedding_set import EmbeddingSet, EncoderStamp
from ferkit.data.faces import faces_to_table
from ferkit.search.facets import Choice, Facets
from ferkit.search.people import people_known_by, person_numbers
from samples import face

STAMP = EncoderStamp("none", "0" * 64, 4, "ferkit-128", 112)


@pytest.fixture
def embeddings():
    faces = [
        face("/p/trip/a.jpg", label="fear", identity="Ann", size=200.0, yaw=3.0, sharpness=0.7, clipped=0.0),
        face("/p/trip/B.jpg", label="fear", identity="Bob", size=50.0, yaw=-40.0, sharpness=0.7, clipped=0.2),
        face("/p/home/c.jpg", label="joy", clip="/p/v.mp4@0"),
        face("/p/home/v.mp4#7", clip="/p/v.mp4@0"),
        face("/p/home/v.mp4#8", label="joy", size=96.0, yaw=20.0, sharpness=0.5, clipped=0.0),
    ]
    return EmbeddingSet(np.eye(5, 4, dtype=np.float32), faces_to_table(faces), STAMP)


@pytest.mark.parametrize(
    ("choice", "rows"),
    [
        (Choice(), [0, 1, 2, 3, 4]),
        (Choice({"label": ["fear"]}), [0, 1]),
        (Choice({"label": ["fear", "joy"], "folder": ["home"]}), [2, 4]),
        (Choice({"label": ["no such"]}), []),
        (Choice({"label": []}), [0, 1, 2, 3, 4]),
        (Choice(quality=["large"]), [0, 4]),
        (Choice(quality=["frontal", "sharp", "whole"]), [0, 4]),
        (Choice(text="b.JPG"), [1]),
        (Choice(text="ann"), [0]),
        (Choice({"folder": ["trip"]}, ["large"], "fear"), [0]),
        (Choice(text=".*"), []),
    ],
)
def test_what_a_choice_lets_through(embeddings, choice, rows):
    assert np.flatnonzero(Facets(embeddings).rows(choice)).tolist() == rows


def test_each_facet_counts_what_the_others_leave(embeddings):
    counts = Facets(embeddings).counts(Choice({"label": ["fear"]}))
    assert counts["label"] == [("fear", 2), ("joy", 2)]
    assert counts["folder"] == [("trip", 2)]
    assert dict(counts["quality"]) == {"large": 1, "frontal": 1, "sharp": 2, "whole": 1}


def test_people_are_known_by_identity_else_by_clip(embeddings):
    assert people_known_by(embeddings) == "identity"
    numbers = person_numbers(embeddings).tolist()
    assert numbers[2] == numbers[3] >= 0
    assert numbers[4] == -1
    assert len({*numbers}) == 4
