import numpy as np
import pytest

from ferkit.encoders.runtimes import ConversionError
from ferkit.encoders.runtimes.parity import Parity, parity_of, require_parity, sample_crops


class Known:
    """An encoder whose vectors are known."""

    def __init__(self, vectors):
        self.vectors = np.asarray(vectors, np.float32)

    def embed(self, crops):
        return self.vectors[: len(crops)]


def test_parity_is_the_worst_difference_and_cosine():
    own = np.tile([[1.0, 0.0]], (9, 1))
    other = own.copy()
    other[8] = [0.6, 0.8]
    rows = iter(other.astype(np.float32))
    parity = parity_of(Known(own), lambda crops: np.stack([next(rows) for _ in crops]), sample_crops(9, 8))
    assert (parity.crops, parity.difference) == (9, pytest.approx(0.8))
    assert (parity.cosine, parity.mean_cosine) == (pytest.approx(0.6), pytest.approx(8.6 / 9))


@pytest.mark.parametrize("difference", [2e-4, float("nan")])
def test_other_vectors_are_refused(difference):
    with pytest.raises(ConversionError, match="smiles as onnx"):
        require_parity(Parity(9, difference, 1.0, 1.0), "smiles as onnx")


@pytest.mark.parametrize("cosine", [0.979, float("nan")])
def test_int8_may_be_further_away_but_not_much(cosine):
    require_parity(Parity(9, 0.1, 0.9, 0.981), "x", int8=True)
    with pytest.raises(ConversionError, match="mean cosine"):
        require_parity(Parity(9, 0.1, 0.9, cosine), "x", int8=True)
