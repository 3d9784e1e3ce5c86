import numpy as np
import pytest
from starlette.datastructures import QueryParams

from ferkit.errors import InputError
from ferkit.web.question import example_of, question_of, vector_text


def test_a_vector_comes_back_within_what_eight_bits_hold():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(50, 512)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    texts = [vector_text(vector) for vector in vectors]
    read = np.stack([example_of(text) for text in texts])
    assert all(len(text) < 700 and text.isascii() for text in texts)
    np.testing.assert_allclose(np.linalg.norm(read, axis=1), 1, atol=1e-6)
    # A step is the largest component / 127: cosines are off by about step / sqrt(12), five times that never here.
    bound = 5 * np.abs(vectors).max() / 127 / np.sqrt(12)
    assert np.abs(read @ vectors.T - vectors @ vectors.T).max() < bound


def test_a_number_is_a_row():
    assert example_of("12") == 12


@pytest.mark.parametrize("text", ["", "-1", "1e3", "v", "v!!!!", "vAAAA", "../../etc/passwd", "１２", "9" * 30])
def test_anything_else_is_refused(text):
    with pytest.raises(InputError, match="no face that can be asked with"):
        example_of(text)


@pytest.mark.parametrize("query", ["count=0", "count=501", "start=-1", "start=x", "count=", "start=99999999999"])
def test_numbers_have_bounds(query):
    with pytest.raises(InputError, match="is a number from"):
        question_of(QueryParams(query))


def test_there_are_not_endlessly_many_examples():
    with pytest.raises(InputError, match="65 examples"):
        question_of(QueryParams("&".join(["like=1"] * 65)))
