from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferkit.evaluation import triplets as triplets_module
from ferkit.evaluation.triplets import odd_one_out, triplet_score

HAPPY, NEUTRAL = "happiness", "neutral"


def pair_score(vectors, labels, identities, *, pair=(HAPPY, NEUTRAL), seed=0):
    """Of two expressions alone."""
    return triplet_score(vectors, [label if label in pair else None for label in labels], identities, seed=seed)


def planted(people, *, expression=0.0, identity=0.0, noise=0.0, dim=64, seed=0):
    """Each person once happy and once neutral; vectors hold as much of either as asked."""
    random = np.random.default_rng(seed)
    faces, looks = random.normal(size=(people, dim)), random.normal(size=(2, dim))
    who, what = np.repeat(np.arange(people), 2), np.tile([0, 1], people)
    vectors = identity * faces[who] + expression * looks[what] + noise * random.normal(size=(2 * people, dim))
    return vectors, [(HAPPY, NEUTRAL)[number] for number in what], [f"person {number}" for number in who]


def one_by_one(vectors, labels, identities, pair):
    """Count by the definition: every triplet, in plain loops, in whole numbers where the vectors are."""
    right = total = 0.0
    for first, second in (pair, pair[::-1]):
        for a, p, n in product(range(len(labels)), repeat=3):
            if labels[a] != first or labels[p] != first or labels[n] != second:
                continue
            if identities[a] is None or identities[p] is None:
                continue
            if identities[p] == identities[a] or identities[n] != identities[a]:
                continue
            near, far = vectors[a] @ vectors[p], vectors[a] @ vectors[n]
            right += 1.0 if near > far else 0.5 if near == far else 0.0
            total += 1
    return right, total


def test_four_faces_by_hand():
    # Angles in degrees: a happy 0, a neutral 30, b happy 20, b neutral 100.
    # a: happy 0 -> b happy 20 < a neutral 30, right; neutral 30 -> b neutral 70 > a happy 30, wrong.
    # b: happy 20 -> a happy 20 < b neutral 80, right; neutral 100 -> a neutral 70 < b happy 80, right.
    angles = np.deg2rad([0, 30, 20, 100])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1) * [[1], [5], [0.1], [2]]  # lengths must not matter
    score = pair_score(vectors, [HAPPY, NEUTRAL] * 2, list("aabb"))
    assert (score.accuracy, score.triplets, len(score.anchors)) == (0.75, 4, 2)


def test_people_with_many_pictures_weigh_more_only_in_accuracy():
    # a has two happy faces, b one. Triplets of a: right; of b: wrong, see the angles.
    # a happy 0, 0, a neutral 50; b happy 40, b neutral 41.
    # a: happy (2 anchors) -> b at 40 < 50, 2 right; neutral 50 -> b neutral 9 < 50, 1 positive x 2 negatives, 2 right.
    # b: happy 40 -> a happy 40 > 1, 2 wrong; neutral 41 -> a neutral 9 > 1, 1 wrong.
    angles = np.deg2rad([0, 0, 50, 40, 41])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    score = pair_score(vectors, [HAPPY, HAPPY, NEUTRAL, HAPPY, NEUTRAL], list("aaabb"))
    assert score.accuracy == pytest.approx(4 / 7)
    assert score.by_person == pytest.approx(1 / 2)


@given(
    st.lists(
        st.tuples(st.sampled_from([HAPPY, NEUTRAL, "fear", None]), st.sampled_from(["a", "b", "c", "d", None])),
        max_size=14,
    ),
    st.integers(0, 1000),
)
def test_it_counts_what_plain_loops_count(rows, seed):
    labels, people = [row[0] for row in rows], [row[1] for row in rows]
    # The eight corners of a cube have one length, so that their dot products are exact and rank as cosines do.
    vectors = np.random.default_rng(seed).choice([-1.0, 1.0], size=(len(rows), 3))
    right, total = one_by_one(vectors, labels, people, (HAPPY, NEUTRAL))
    if not total:
        assert pair_score(vectors, labels, people) is None
        return
    score = pair_score(vectors, labels, people)
    assert score.triplets == total
    assert score.accuracy == pytest.approx(right / total)


def test_the_interval_is_that_of_resampled_people(monkeypatch):
    # Independently: put together each resample's people, copies of one person being no other people, and compare all.
    monkeypatch.setattr(triplets_module, "_RESAMPLES", 60)
    vectors, _, _ = planted(5, expression=0.5, identity=0.5, noise=0.5, dim=3)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    shares = []
    for drawn in np.random.default_rng(0).multinomial(5, np.full(5, 0.2), size=60):
        crowd, right, total = np.repeat(np.arange(5), drawn), 0, 0
        for mine, other, look in product(crowd, crowd, (0, 1)):
            if mine != other:
                anchor = units[2 * mine + look]
                right += anchor @ units[2 * other + look] > anchor @ units[2 * mine + 1 - look]
                total += 1
        shares += [right / total] if total else []
    score = pair_score(vectors, [HAPPY, NEUTRAL] * 5, [name for name in "abcde" for _ in "xy"])
    assert score.intervals[0] == pytest.approx(tuple(np.percentile(shares, (2.5, 97.5))))


ANGLES = np.deg2rad([0, 10, 60, 65])
VECTORS = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1) * [[1], [5], [0.2], [2]]  # lengths must not matter


def test_three_triplets_by_hand():
    # 0, 10 | 60: the third is odd; 10 | 60, 65: the first is; 0, 10 | 65 with the middle one called odd: wrong.
    triplets = np.array([[0, 1, 2], [1, 2, 3], [0, 1, 3]])
    right, covered = odd_one_out(VECTORS, triplets, np.array([2, 0, 1]))
    assert right.tolist() == [1, 1, 0]
    assert covered == 1


def test_a_triplet_with_a_faceless_row_is_wrong():
    vectors = np.vstack([VECTORS, [[np.nan, np.nan]]])
    right, covered = odd_one_out(vectors, np.array([[0, 1, 2], [0, 1, 4]]), np.array([2, 2]))
    assert (right.tolist(), covered) == ([1, 0], 0.5)
