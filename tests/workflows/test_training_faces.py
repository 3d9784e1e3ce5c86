import numpy as np

from ferkit.data.face_set import FaceSet, FaceSetWriter
from ferkit.data.faces import Face
from ferkit.faces.template import TEMPLATE
from ferkit.workflows.training_faces import TrainingFaces


def face_set(tmp_path, landmarks, labels):
    unknown = dict.fromkeys(("clip", "identity", "time_s", "box", "score"))
    rows = [
        Face(f"/{row}.jpg", 1, sha256=f"{row:064x}", label=label, landmarks=points, **unknown)
        for row, (points, label) in enumerate(zip(landmarks, labels, strict=True))
    ]
    crops = np.stack([np.full((128, 128, 3), row, np.uint8) for row in range(len(rows))])
    with FaceSetWriter(tmp_path / "faces", "ferkit-128", 128, fingerprint="test") as writer:
        writer.append(crops, rows, pictures_done=len(rows))
    return FaceSet.open(tmp_path / "faces")


def test_batch_holds_crops_and_what_is_needed(tmp_path):
    faces = face_set(tmp_path, [None] * 3, ["b", None, "a"])
    assert set(TrainingFaces(faces).batch(np.array([0]))) == {"crops"}
    batch = TrainingFaces(faces, {"label", "landmarks"}, ["a", "b"]).batch(np.array([2, 0, 1]))
    assert batch["crops"][:, 0, 0, 0].tolist() == [2, 0, 1]
    assert batch["label"].tolist() == [0, 1, -1]
    assert batch["label"].dtype == np.int64
    np.testing.assert_array_equal(batch["landmarks"], np.stack([TEMPLATE] * 3))


def test_label_that_is_no_class_is_unknown(tmp_path):
    faces = face_set(tmp_path, [None] * 2, ["c", "a"])
    assert TrainingFaces(faces, {"label"}, ["a", "b"]).batch(np.arange(2))["label"].tolist() == [-1, 0]


def test_a_method_weighs_the_labels_that_it_asks_for(tmp_path):
    faces = face_set(tmp_path, [None] * 3, ["b", None, "a"])
    labelled, unlabelled = TrainingFaces(faces, {"label"}, ["a", "b"]), TrainingFaces(faces)
    for reading in (labelled, unlabelled):
        assert reading.weights is None
        reading.weigh(lambda label: label + 2.0)
    assert labelled.weights.tolist() == [3, 1, 2]
    assert unlabelled.weights is None


def test_landmarks_of_the_photo_are_brought_into_the_crop(tmp_path):
    turned = TEMPLATE[:, ::-1] * [1, -1]  # a quarter turn, which the crop undoes, as it does scale and place
    moved = TEMPLATE.astype(np.float64)
    moved[2] += [0, 6]  # a longer nose stays longer
    photos = [3 * turned + [500, 900], 2 * moved + 10, None]
    faces = face_set(tmp_path, [points if points is None else tuple(points.ravel()) for points in photos], [None] * 3)
    found = TrainingFaces(faces, {"landmarks"}).batch(np.arange(3))["landmarks"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], TEMPLATE, atol=1e-3)
    np.testing.assert_array_equal(found[2], TEMPLATE)
    assert found[1, 2, 1] - found[1, 0, 1] > TEMPLATE[2, 1] - TEMPLATE[0, 1] + 4
    np.testing.assert_allclose(found[1].mean(0), TEMPLATE.mean(0), atol=1e-3)
