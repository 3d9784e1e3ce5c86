import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ferkit.data.clip_windows import Windows
from ferkit.data.face_set import FaceSet
from ferkit.errors import TrainingError
from ferkit.faces.template import TEMPLATE
from ferkit.pretraining.training_faces import TrainingFaces, usable_faces

CHANCE = np.random.default_rng(0)


@pytest.fixture
def face_set(make_face_set):
    """Write faces that show their row's number; ``moments`` are their clips and times."""

    def make(landmarks, labels, moments=None):
        clips, times = zip(*(moments or [(None, None)] * len(labels)), strict=True)
        known = {"clip": clips, "time_s": times, "landmarks": landmarks, "label": labels}
        crops = np.stack([np.full((128, 128, 3), row, np.uint8) for row in range(len(labels))])
        return make_face_set(crops, **{name: values.__getitem__ for name, values in known.items()})

    return make


def test_batch_holds_crops_and_what_is_needed(face_set):
    faces = face_set([None] * 3, ["b", None, "a"])
    assert set(TrainingFaces(faces).batch(np.array([0]), CHANCE)) == {"crops"}
    batch = TrainingFaces(faces, {"label", "landmarks"}, ["a", "b"]).batch(np.array([2, 0, 1]), CHANCE)
    assert batch["crops"][:, 0, 0, 0].tolist() == [2, 0, 1]
    assert batch["label"].tolist() == [0, 1, -1]
    assert batch["label"].dtype == np.int64
    np.testing.assert_array_equal(batch["landmarks"], np.stack([TEMPLATE] * 3))
    some = TrainingFaces(faces, {"label", "votes"}, ["c", "a"]).batch(np.arange(3), CHANCE)
    assert some["label"].tolist() == [-1, -1, 1]  # "b" is no class here
    assert some["votes"].tolist() == [[0, 0], [0, 0], [0, 1]]  # there is no such column: the labels have all


def test_a_method_weighs_the_labels_that_it_asks_for(face_set):
    faces = face_set([None] * 3, ["b", None, "a"])
    labelled, unlabelled = TrainingFaces(faces, {"label"}, ["a", "b"]), TrainingFaces(faces)
    for reading in (labelled, unlabelled):
        assert reading.weights is None
        reading.weigh(lambda label: label + 2.0)
    assert labelled.weights.tolist() == [3, 1, 2]
    assert unlabelled.weights is None


def test_landmarks_of_the_photo_are_brought_into_the_crop(face_set):
    turned = TEMPLATE[:, ::-1] * [1, -1]  # a quarter turn, which the crop undoes, as it does scale and place
    moved = TEMPLATE.astype(np.float64)
    moved[2] += [0, 6]  # a longer nose stays longer
    photos = [3 * turned + [500, 900], 2 * moved + 10, None]
    faces = face_set([points if points is None else tuple(points.ravel()) for points in photos], [None] * 3)
    found = TrainingFaces(faces, {"landmarks"}).batch(np.arange(3), CHANCE)["landmarks"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], TEMPLATE, atol=1e-3)
    np.testing.assert_array_equal(found[2], TEMPLATE)
    assert found[1, 2, 1] - found[1, 0, 1] > TEMPLATE[2, 1] - TEMPLATE[0, 1] + 4
    np.testing.assert_allclose(found[1].mean(0), TEMPLATE.mean(0), atol=1e-3)


MOMENTS = [("b", 0.5 * n) for n in range(10)] + [("a", 0.5 * n) for n in range(4)]
MOMENTS += [("a", 9.0), (None, None), ("c", 0)]
HARD = {"positive", "hard_negative", "hard_positive", "clip", "hard_negative_clip", "hard_positive_landmarks", "label"}


@pytest.fixture
def clips(face_set):
    return lambda moments=MOMENTS: face_set([None] * len(moments), ["x"] * len(moments), moments)


def shown(crops):
    return crops[:, 0, 0, 0].astype(int)


def test_pairs_of_clips_come_with_the_faces(clips, listener):
    progress = listener()
    faces = usable_faces(clips(), HARD, Windows(), progress)
    assert progress.said == [
        "14 of 17 faces are anchors, in 2 clips with frames 0.48 to 1.44 s apart; "
        "8 of them have hard negatives (clips too short for 2.88 s: 1)"
    ]
    reading = TrainingFaces(faces, HARD, ["x"])
    assert len(reading) == 14
    batch = reading.batch(np.array([13, 0, 5, 9]), np.random.default_rng(0))
    assert batch.keys() == {"crops", *HARD}
    rows = {name: shown(batch[name]) for name in ("crops", "positive", "hard_negative", "hard_positive")}
    assert rows["crops"].tolist() == [13, 0, 5, 9]
    clip, time_s = np.array([moment[0] for moment in MOMENTS]), np.array([moment[1] for moment in MOMENTS], float)
    for anchor, positive in (("crops", "positive"), ("hard_negative", "hard_positive")):
        assert (clip[rows[anchor]] == clip[rows[positive]]).all()
        assert set(np.abs(time_s[rows[anchor]] - time_s[rows[positive]])) <= {0.5, 1.0}
    far = np.abs(time_s[rows["crops"]] - time_s[rows["hard_negative"]])[[1, 3]]
    assert (far >= 2.88).all()
    # Faces 13 and 5 are too near to all of their clips, and are given a face of the other one.
    assert (clip[rows["hard_negative"]] == ["b", "b", "a", "b"]).all()
    assert batch["clip"].tolist() == [1, 0, 0, 0]
    assert batch["hard_negative_clip"].tolist() == [0, 0, 1, 0]
    assert batch["hard_positive_landmarks"].shape == (4, 5, 2)


def test_partners_are_other_faces_of_the_clip(clips, listener):
    progress = listener()
    faces = usable_faces(clips(), {"partner"}, Windows(), progress)
    assert progress.said == ["15 of 17 faces have another of their clip; the others are left out"]
    batch = TrainingFaces(faces, {"partner"}).batch(np.arange(15), np.random.default_rng(0))
    assert batch.keys() == {"crops", "partner"}
    assert ((shown(batch["crops"]) < 10) == (shown(batch["partner"]) < 10)).all()
    assert (shown(batch["crops"]) != shown(batch["partner"])).all()


def test_strangers_are_faces_of_other_people(clips, listener):
    faces, progress = clips(), listener()
    assert usable_faces(faces, {"stranger"}, Windows(), progress) is faces
    batch = TrainingFaces(faces, {"stranger"}).batch(np.arange(17), np.random.default_rng(0))
    clip = np.array([moment[0] or "alone" for moment in MOMENTS])
    assert (clip[shown(batch["stranger"])] != clip[shown(batch["crops"])]).all()
    with pytest.raises(TrainingError, match="all 10 faces are of one person"):
        usable_faces(clips(MOMENTS[:10]), {"stranger"}, Windows(), progress)


@pytest.mark.parametrize(
    ("needs", "moments", "says"),
    [
        ({"positive"}, [(None, None)] * 3, "none of the 3 faces has a clip and a time.*give the faces of videos"),
        ({"positive"}, [("a", None)] * 3, "none of the 3 faces has a clip and a time"),
        ({"partner"}, [("a", 0), ("b", 0)], "none of the 2 faces has another face of its clip"),
        ({"positive"}, MOMENTS[:10], "1 of the clips of 10 faces have frames that are 0.48 to 1.44 s apart"),
        ({"hard_negative"}, MOMENTS[4:14], "no clip has frames 2.88 s apart.*leave the part hard-neg out"),
    ],
)
def test_faces_without_the_pairs_that_a_method_needs(clips, listener, needs, moments, says):
    with pytest.raises(TrainingError, match=says):
        usable_faces(clips(moments), needs, Windows(), listener())


def with_votes(faces, metadata, votes):
    column = pa.field("votes", pa.list_(pa.float32()), metadata=metadata)
    pq.write_table(faces.table.append_column(column, pa.array(votes, column.type)), faces.path / "faces.parquet")
    return FaceSet.open(faces.path)


def test_votes_are_the_columns_shares_in_the_methods_order(face_set):
    faces = face_set([None] * 3, ["b", "a", None])
    faces = with_votes(faces, {"classes": '["a", "c", "b"]'}, [[0.25, 0.5, 0.125], None, None])
    votes = TrainingFaces(faces, {"votes"}, ["b", "a", "d"]).batch(np.arange(3), CHANCE)
    # Without votes the label has them all, and without either nothing has any.
    assert votes["votes"].tolist() == [[0.125, 0.25, 0], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("classes", [None, "a, b", "3", '["a", "b"]'])
def test_votes_that_cannot_be_read_are_said(face_set, classes):
    votes = [1] if classes == '["a", "b"]' else [0.5, 0.5]
    faces = with_votes(face_set([None], ["a"]), classes and {"classes": classes}, [votes])
    with pytest.raises(TrainingError, match="votes"):
        TrainingFaces(faces, {"votes"}, ["a", "b"])
