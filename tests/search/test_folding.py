from dataclasses import replace

import numpy as np
from PIL import Image

import samples
from ferkit.search.folding import fold_copies, near_copies, near_equal, one_per_person


def face(number, **known):
    points = tuple(float(number * 10 + place) for place in range(10))
    return replace(samples.face(f"/{number}.jpg", landmarks=points), **{"sha256": f"hash {number}", **known})


def test_frames_copies_and_equal_landmarks_are_one_face():
    faces = [
        face(0, clip="a.mp4@1"),
        face(1),
        face(2, clip="a.mp4@1"),
        face(3, sha256="hash 1"),
        face(4, landmarks=tuple(point + 0.05 for point in face(1).landmarks)),
        face(5),
    ]
    assert fold_copies(faces, np.eye(6)) == [[0, 2], [1, 3, 4], [5]]


def blurred(crop, side):
    return np.asarray(Image.fromarray(crop).resize((side, side)).resize((128, 128)))


def test_crops_are_compared_where_vectors_are_near():
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (2, 8, 8, 3), np.uint8)
    first, other = (np.asarray(Image.fromarray(small).resize((128, 128))) for small in coarse)
    crops = [first, blurred(first, 48), other, None]
    assert near_equal([first, blurred(first, 48), other]).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    asked = []

    def crops_of(places):
        asked.append(places)
        return [crops[place] for place in places]

    faces = [face(number, landmarks=None) for number in range(4)]
    same = np.eye(4)[[0, 0, 0, 0]]
    assert fold_copies(faces, same, crops_of) == [[0, 1], [2], [3]]
    assert asked == [[0, 1, 2, 3]]
    assert fold_copies(faces, np.eye(4), crops_of) == [[0], [1], [2], [3]]
    assert asked[1:] == [[]]


def test_copies_of_one_face_are_known_by_their_crops():
    coarse = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    crop, other = (np.asarray(Image.fromarray(small).resize((128, 128))) for small in coarse)
    crops = [blurred(crop, 48), other, crop, None, crop]
    points = np.array(face(0).landmarks) + np.tile([0, 3], 5)
    faces = [face(1, landmarks=tuple(2 * points + 7)), face(2), face(3), face(4), face(5)]
    vectors = np.eye(2)[[0, 0, 1, 0, 0]]
    one = face(0, landmarks=tuple(points))
    found = near_copies(one, vectors[0], crop, faces, vectors, lambda some: [crops[place] for place in some])
    assert found == [0, 4]


def test_the_best_face_of_each_person_stays():
    faces = [face(0, identity="Ann"), face(1), face(2, identity="Ann"), face(3, clip="c"), face(4, clip="c"), face(5)]
    assert one_per_person([[0], [1], [2], [3], [4], [5]], faces) == [[0], [1], [3], [5]]
