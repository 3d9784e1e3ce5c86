import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from ferkit.errors import InputError
from ferkit.evaluation import rows as rows_module
from ferkit.evaluation.leakage import linear_leak, neighbour_leak
from ferkit.evaluation.triplets import triplet_score

PLANS = {
    "expression": {"expression": 1},
    "identity": {"identity": 1, "noise": 0.01},
    "noise": {"noise": 1},
    "constant": {},
}


def test_five_faces_by_hand():
    # Angles: x 0, x 20, y 25, y 90, z 91. Nearest: x20, y25, x20, z, y90 -> right for the first alone; z is not asked.
    angles = np.deg2rad([0, 20, 25, 90, 91])
    vectors, who = np.stack([np.cos(angles), np.sin(angles)], axis=1), list("xxyyz")
    leak = neighbour_leak(vectors, who, who)
    assert (leak.rate, leak.chance, leak.faces, leak.values) == (0.25, 0.25, 4, 2)


def test_scikit_learns_neighbours_agree(planted, monkeypatch):
    monkeypatch.setattr(rows_module, "_BLOCK", 16)
    vectors, _, who = planted(10, identity=0.4, noise=1)
    rows, right = np.arange(len(who)), 0
    for row in rows:
        others = rows != row
        oracle = KNeighborsClassifier(1, metric="cosine").fit(vectors[others], np.array(who)[others])
        right += oracle.predict(vectors[[row]])[0] == who[row]
    leak = neighbour_leak(vectors, who, who)
    assert leak.rate == pytest.approx(right / len(who))
    assert leak.chance == pytest.approx(5 / 59)
    assert leak.interval[0] < leak.rate < leak.interval[1]


@pytest.mark.parametrize(
    ("plan", "nearest", "linear"),
    [
        ("expression", (0.01, 0.1), (0, 0.15)),
        ("identity", (1, 1), (1, 1)),
        ("noise", (0, 0.15), (0, 0.25)),
        ("constant", (0.02, 0.06), (0, 0.15)),
    ],
)
def test_planted_vectors_and_how_they_tell_people_apart(planted, plan, nearest, linear):
    vectors, _, who = planted(20, **PLANS[plan])
    leak = neighbour_leak(vectors, who, who)
    assert nearest[0] <= leak.rate <= nearest[1]
    assert leak.chance == pytest.approx(5 / 119)
    vectors, _, who = planted(10, **PLANS[plan])
    leak = linear_leak(vectors, who, who, strengths=[1e-2])
    assert linear[0] <= leak.rate <= linear[1]
    assert (leak.faces, leak.values, leak.chance) == (30, 10, 0.1)


def test_another_column_is_asked_of_other_people(planted):
    # Gender as chance gave it to people: those who know the person know it, and nobody else does.
    vectors, _, who = planted(30, identity=1, noise=0.01)
    gender = [("woman", "man")[int(name.split()[1]) % 2] for name in who]
    held, labels, others = planted(20, expression=1, noise=0.1)  # here the vectors hold the column itself
    for told in (neighbour_leak, linear_leak):
        assert told(vectors, gender, who).rate == 1
        assert 0.2 < told(vectors, gender, who, groups=who).rate < 0.8
        assert told(held, labels, others, groups=others).rate == 1


def test_frames_of_one_clip_do_not_answer_for_each_other(planted):
    random = np.random.default_rng(0)
    clips = np.repeat(np.arange(40), 3)  # two clips a person, three frames each, nothing of the person in them
    vectors = random.normal(size=(40, 16))[clips] + 0.01 * random.normal(size=(120, 16))
    who, names = [str(clip // 2) for clip in clips], [str(clip) for clip in clips]
    assert neighbour_leak(vectors, who, who).rate == 1
    assert neighbour_leak(vectors, who, who, groups=names).rate < 0.2


def test_faceless_rows_are_not_asked(planted):
    vectors, _, who = planted(10, identity=1, noise=0.01)
    vectors[::6] = np.nan
    for told in (neighbour_leak, linear_leak):
        leak = told(vectors, who, who)
        assert leak.rate == 1
    assert neighbour_leak(vectors, who, who).faces == 50


@pytest.mark.parametrize(("plan", "expected"), [("expression", 1), ("identity", 0), ("noise", 0.5), ("constant", 0.5)])
def test_expression_over_identity_of_planted_vectors(planted, plan, expected):
    score = triplet_score(*planted(30, **PLANS[plan]))
    assert score.by_person == pytest.approx(expected, abs=0.05)
    low, high = score.intervals[True]
    assert low <= expected <= high


@pytest.mark.parametrize(
    ("leak", "values"),
    [(neighbour_leak, ["x"] * 4), (neighbour_leak, list("wxyz")), (neighbour_leak, ["x"]), (linear_leak, list("xxyy"))],
)
def test_bad_input(leak, values):
    with pytest.raises(InputError):
        leak(np.eye(4), values, [None] * 4)
