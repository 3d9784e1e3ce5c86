import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ferkit.errors import InputError, SetError
from ferkit.search import index as index_module
from ferkit.search.index import FlatIndex

COORDINATES = st.integers(-3, 3).map(float)


def unit(rows):
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1)


@st.composite
def searches(draw):
    count, dim, queries = draw(st.integers(1, 30)), draw(st.integers(1, 5)), draw(st.integers(0, 4))
    vectors = draw(hnp.arrays(np.float64, (count, dim), elements=COORDINATES))
    query = draw(hnp.arrays(np.float64, (queries, dim), elements=COORDINATES))
    allowed = draw(st.none() | hnp.arrays(np.bool_, count))
    return vectors, query, draw(st.integers(1, 40)), allowed


@settings(max_examples=40)
@given(searches())
def test_it_finds_what_comparing_one_by_one_finds(search):
    vectors, query, k, allowed = search
    scores, ids = FlatIndex(vectors).query(query, k, allowed=allowed)

    usable = np.ones(len(vectors), bool) if allowed is None else allowed
    cosines = unit(query) @ unit(vectors).T
    expected = -np.sort(-cosines[:, usable], axis=1)[:, :k]
    assert scores.shape == ids.shape == expected.shape
    np.testing.assert_allclose(scores, expected, atol=1e-5)
    # Among equals any order will do, so the ids are judged by their own cosines.
    np.testing.assert_allclose(np.take_along_axis(cosines, ids, axis=1), scores, atol=1e-5)
    assert usable[ids].all()
    assert all(len(set(row)) == len(row) for row in ids.tolist())


def test_scores_are_cosines_whatever_the_lengths():
    index = FlatIndex(np.array([[0.0, 2.0], [3.0, 3.0], [5.0, 0.0], [-1.0, 0.0]]))
    scores, ids = index.query(np.array([[10.0, 0.0]]), k=4)
    assert ids.tolist() == [[2, 1, 0, 3]]
    np.testing.assert_allclose(scores, [[1, 0.5**0.5, 0, -1]], atol=1e-6)


def test_memory_maps_are_read_block_by_block_and_left_alone(tmp_path, monkeypatch):
    vectors = 3 * np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    np.save(tmp_path / "emb.npy", vectors)
    monkeypatch.setattr(index_module, "_BLOCK", 7)
    index = FlatIndex(np.load(tmp_path / "emb.npy", mmap_mode="r"))
    assert (len(index), index.dim) == (50, 8)
    assert index.query(vectors, k=1)[1][:, 0].tolist() == list(range(50))
    np.testing.assert_array_equal(np.load(tmp_path / "emb.npy"), vectors)


@pytest.mark.parametrize("options", [{"vectors": np.ones((1, 4))}, {"k": 0}, {"allowed": np.ones(2, bool)}])
def test_queries_that_do_not_fit_are_refused(options):
    with pytest.raises(InputError):
        FlatIndex(np.eye(3)).query(**{"vectors": np.ones((1, 3)), **options})


@pytest.mark.parametrize("share", [0.02, 0.5])
def test_what_is_not_allowed_is_never_returned_however_few_are(share):
    random = np.random.default_rng(0)
    vectors = unit(random.normal(size=(index_module._BLOCK + 3, 4)))
    allowed = random.random(len(vectors)) < share
    _, ids = FlatIndex(vectors, unit=True).query(vectors[:2], k=5, allowed=allowed)
    cosines = np.where(allowed, vectors[:2] @ vectors.T, -2)
    assert ids.tolist() == np.argsort(-cosines, axis=1)[:, :5].tolist()


def test_a_damaged_vector_is_named_by_the_search_that_meets_it():
    vectors = np.eye(8, dtype=np.float32)
    vectors[5, 2] = np.nan
    with pytest.raises(SetError, match="vector 5 of the set"):
        FlatIndex(vectors, unit=True).query(np.ones((1, 8)), k=2)
    vectors[5] = vectors[6] * 1.01
    with pytest.raises(SetError, match="vector 5 of the set"):
        FlatIndex(vectors, unit=True).query(vectors[6:7], k=1)
    assert FlatIndex(vectors).query(vectors[6:7], k=2)[1].tolist() == [[5, 6]]
    vectors[5] = np.nan
    with pytest.raises(InputError, match="the query is not made of finite"):
        FlatIndex(np.eye(8)).query(vectors[5:6], k=2)
