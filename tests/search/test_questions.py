from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from ferkit.encoders.encoder import load_encoder
from ferkit.encoders.expression_head import ExpressionHead, UnknownExpressionError
from ferkit.errors import InputError, WeightsError
from ferkit.search.facets import Choice
from ferkit.search.questions import Question, Questioner
from ferkit.search.retrieve_settings import ANY
from ferkit.search.searcher import Searcher
from ferkit.search.set_encoder import encoder_stamp
from samples import face, unit_rows, write_set

N, PEOPLE = 40, 8


@pytest.fixture(scope="module")
def searcher(run_folder, tmp_path_factory):
    """Forty random vectors of eight people, five faces each; the last five faces are of nobody known."""
    encoder = load_encoder(run_folder, "cpu")
    vectors = unit_rows(np.random.default_rng(0).normal(size=(N, encoder.dim)))
    people = [f"person {row % PEOPLE}" if row < N - 5 else None for row in range(N)]
    faces = [
        replace(face(f"/p/{row}.jpg", identity=people[row], label="ab"[row % 2]), sha256=f"{row:064}")
        for row in range(N)
    ]
    path = tmp_path_factory.mktemp("questions") / "emb.npy"
    return Searcher(write_set(path, vectors, faces, encoder_stamp(encoder, run_folder)), device="cpu")


@pytest.fixture
def questioner(searcher, monkeypatch):
    vectors = searcher.set.vectors
    head = ExpressionHead(
        "", ("calm", "glad"), np.asarray(vectors[:2]), 9 * np.asarray(vectors[:2]), np.zeros(2, np.float32), (4.0, -1.0)
    )
    monkeypatch.setattr(searcher.encoder, "head", head)
    return Questioner(searcher)


def cosines(questioner, row):
    vectors = questioner._set.vectors.astype(np.float64)
    return vectors @ vectors[row]


def test_by_default_the_person_of_the_example_is_left_out(questioner):
    ranking = questioner.rank(Question([3], count=N))
    expected = [row for row in np.argsort(-cosines(questioner, 3)) if row % PEOPLE != 3 or row >= N - 5]
    assert ranking.rows.tolist() == expected
    np.testing.assert_allclose(ranking.scores, cosines(questioner, 3)[expected], atol=1e-6)
    np.testing.assert_allclose(ranking.probabilities, 1 / (1 + np.exp(1 - 4 * ranking.scores)), atol=1e-6)
    assert ranking.searched == len(expected)


def test_who_is_not_known_cannot_be_left_out(questioner):
    ranking = questioner.rank(Question([N - 1], count=N))
    assert ranking.nobody_known
    assert len(ranking.rows) == N - 1


def test_each_person_once_by_the_best_face(questioner):
    every = questioner.rank(Question([0], count=N)).rows.tolist()
    best = [next(row for row in every if row < N - 5 and row % PEOPLE == person) for person in range(1, PEOPLE)]
    expected = [row for row in every if row in best or row >= N - 5]
    once = [questioner.rank(Question([0], once=True, start=at, count=5)).rows.tolist() for at in (0, 5, 10)]
    assert [row for page in once for row in page] == expected


def test_frames_of_one_clip_are_one_hit(questioner, searcher, monkeypatch):
    column = pa.array(["clip" if row in (4, 8, 30) else None for row in range(N)])
    table = searcher.set.table.set_column(searcher.set.table.column_names.index("clip"), "clip", column)
    monkeypatch.setitem(vars(searcher.set), "table", table)
    every = questioner.rank(Question([0], person=ANY, count=N))
    (shown,) = {4, 8, 30} & set(every.rows.tolist())
    assert every.faces[every.rows.tolist().index(shown)] == 3
    assert shown == max((4, 8, 30), key=lambda row: cosines(questioner, 0)[row])
    assert every.searched == N - 1


def test_an_expression_ranks_by_its_probability(questioner):
    ranking = questioner.rank(Question(expression="glad", choice=Choice({"label": ["b"]}), count=N))
    shares = questioner.head.probabilities(questioner._set.vectors)[:, 1]
    expected = [row for row in np.argsort(-shares, kind="stable") if row % 2]
    assert ranking.rows.tolist() == expected
    assert ranking.scores is None
    np.testing.assert_allclose(ranking.probabilities, shares[expected], atol=1e-6)


def test_without_a_question_the_set_comes_in_its_order(questioner):
    ranking = questioner.rank(Question(choice=Choice({"label": ["a"]}), start=2, count=3))
    assert ranking.rows.tolist() == [4, 6, 8]
    assert (ranking.scores, ranking.probabilities) == (None, None)


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        (Question([N]), f"no face {N}"),
        (Question([0], [-1]), "no face -1"),
        (Question([np.ones(3, np.float32)]), "another encoder"),
        (Question(unlike=[0]), "something to look for"),
    ],
)
def test_what_cannot_be_asked(questioner, question, sentence):
    with pytest.raises(InputError, match=sentence):
        questioner.rank(question)


def test_an_expression_nobody_knows(questioner, monkeypatch):
    with pytest.raises(UnknownExpressionError, match="calm"):
        questioner.rank(Question(expression="clam"))
    monkeypatch.setattr(questioner._searcher.encoder, "head", None)
    with pytest.raises(WeightsError):
        questioner.rank(Question(expression="calm"))
    assert questioner.rank(Question([0])).probabilities is None
