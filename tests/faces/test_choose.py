import numpy as np
import pytest
from PIL import Image

from ferkit.faces.choose import FACES_POLICIES, choose
from ferkit.faces.detect import Detections

SIZE = (101, 201)  # height, width: the image's centre is (100, 50)


def faces(*boxes):
    count = len(boxes)
    scores, landmarks = np.linspace(0.9, 0.7, count, dtype=np.float32), np.zeros((count, 5, 2), np.float32)
    return Detections(np.float32(boxes).reshape(-1, 4), scores, landmarks)


@pytest.mark.parametrize(
    ("which", "boxes", "row"),
    [
        ("largest", ([0, 0, 30, 10], [0, 0, 19, 16], [90, 40, 110, 55]), 1),  # 300, 304, 300
        # 20 x 20 centred: 400 - 0; 30 x 30 with its centre 20 off in x: 900 - 2 * 400 = 100
        ("center", ([65, 35, 95, 65], [90, 40, 110, 60]), 1),
        # 20 x 20 centred: 400; 30 x 30 with its centre 15 off in y: 900 - 2 * 225 = 450
        ("center", ([90, 40, 110, 60], [85, 50, 115, 80]), 1),
        ("largest", ([0, 0, 10, 10], [20, 20, 30, 30]), 0),  # of equals the more certain
        ("center", ([80, 40, 100, 60], [100, 40, 120, 60]), 0),
    ],
)
def test_which_is_chosen(which, boxes, row):
    assert choose(faces(*boxes), SIZE, which).tolist() == [row]


@pytest.mark.parametrize("which", FACES_POLICIES)
def test_no_face_stays_no_face(which):
    assert len(choose(faces(), SIZE, which)) == 0


def test_center_is_facenet_pytorchs_rule():
    from facenet_pytorch import MTCNN

    rng = np.random.default_rng(0)
    image = Image.new("RGB", (400, 300))
    mtcnn = MTCNN(selection_method="center_weighted_size")
    for _ in range(20):
        low = rng.uniform(0, 250, (6, 2))
        boxes = np.hstack([low, low + rng.uniform(20, 150, (6, 2))]).astype(np.float32)
        found = faces(*boxes)
        (theirs,), *_ = mtcnn.select_boxes(
            boxes + 0.5, found.scores, found.landmarks, image, method="center_weighted_size"
        )
        np.testing.assert_allclose(found.boxes[choose(found, (300, 400), "center")[0]], theirs - 0.5, atol=1e-3)
