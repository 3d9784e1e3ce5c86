import numpy as np
import pytest

from ferkit.encoders.runtimes.engines import ConvertedEncoder
from ferkit.errors import InputError


def numbered(count, side=128):
    """Crops that are all the number of their row."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, side, side, 3))


@pytest.fixture
def converted(encoder):
    def compute(crops):
        assert crops.flags.c_contiguous
        return np.repeat(crops[:, 0, 0, :1].astype(np.float32), encoder.dim, axis=1)

    return ConvertedEncoder(encoder, compute, side=128, threads=3)


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_rows_keep_their_order(converted, batch_size):
    np.testing.assert_array_equal(converted.embed(numbered(11), batch_size=batch_size)[:, 0], np.arange(11))


def test_no_crops_are_no_vectors(converted, encoder):
    assert converted.embed(numbered(0)).shape == (0, encoder.dim)


def test_another_side_and_a_wrong_batch_size_are_refused(converted):
    for crops, batch_size in ((numbered(2, 120), 64), (numbered(2), 0)):
        with pytest.raises(InputError):
            converted.embed(crops, batch_size=batch_size)
