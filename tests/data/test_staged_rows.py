import numpy as np
import pytest

from ferkit.data.crop_shards import shard_name
from ferkit.data.staged_rows import GrowingArray

CROPS = np.random.default_rng(0).integers(0, 256, (11, 4, 4, 3), dtype=np.uint8)


def growing(folder):
    return GrowingArray(folder, (4, 4, 3), np.uint8, shard_name, shard=4)


def written(folder):
    array = growing(folder)
    checksum = array.append(CROPS)
    array.close()
    return checksum


def shards(folder):
    return [np.load(path) for path in sorted(folder.glob("*.npy"))]


@pytest.mark.parametrize("step", [1, 3, 4, 11])
def test_shards_are_full_except_the_last(tmp_path, step):
    array = growing(tmp_path)
    for start in range(0, 11, step):
        array.append(CROPS[start : start + step])
    array.finish()
    array.close()
    assert [len(shard) for shard in shards(tmp_path)] == [4, 4, 3]
    np.testing.assert_array_equal(np.concatenate(shards(tmp_path)), CROPS)


@pytest.mark.parametrize("rest", [True, False])
@pytest.mark.parametrize("rows", [0, 1, 4, 5, 8, 11])
def test_resuming_cuts_what_does_not_count(tmp_path, rows, rest):
    written(tmp_path)
    again = growing(tmp_path)
    again.resume(rows)
    if rest:
        again.append(255 - CROPS[rows:])
    again.finish()
    again.close()
    kept = [*CROPS[:rows], *(255 - CROPS[rows:])] if rest else CROPS[:rows]
    np.testing.assert_array_equal(np.concatenate([CROPS[:0], *shards(tmp_path)]), kept)


def test_a_checksum_is_that_of_the_rows_on_disk(tmp_path):
    whole = written(tmp_path)
    assert growing(tmp_path).checksum(0, 11) == whole
    assert growing(tmp_path).checksum(0, 12) is None
    assert growing(tmp_path / "nothing").checksum(0, 1) is None
    damaged = tmp_path / shard_name(1)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"!")
    assert growing(tmp_path).checksum(0, 11) not in (whole, None)


def test_a_damaged_header_is_mended(tmp_path):
    written(tmp_path)
    damaged = tmp_path / shard_name(0)
    damaged.write_bytes(b"?" * 20 + damaged.read_bytes()[20:] + b"and more")
    array = growing(tmp_path)
    array.resume(11)
    array.finish()
    array.close()
    np.testing.assert_array_equal(np.concatenate(shards(tmp_path)), CROPS)


def test_a_lone_file_is_mapped_and_there_even_when_empty(tmp_path):
    array = GrowingArray(tmp_path, (3,), "<f4", lambda _: "x.npy")
    array.finish()
    assert np.load(tmp_path / "x.npy").shape == array.mapped().shape == (0, 3)
    array.append(np.ones((2, 3)))
    array.append(np.zeros((1, 3)))
    array.finish()
    assert array.mapped().tolist() == np.load(tmp_path / "x.npy").tolist() == [[1, 1, 1], [1, 1, 1], [0, 0, 0]]
    array.close()
