import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from ferkit.encoders.hashes import sha256_of
from ferkit.encoders.weights import load_weights, save_weights, serialize
from ferkit.errors import OutputError, WeightsError
from samples import full_disk

STATE = {
    "kernel": torch.arange(12, dtype=torch.float32).view(3, 4) / 3,
    "variance": torch.tensor([1e-9, 1 / 3]),
    "steps": torch.tensor(7),
}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "w.safetensors"
    return path, save_weights(STATE, path)


def test_sha256_of_bytes():
    # FIPS 180-2, appendix B.1
    assert sha256_of(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_kernels_are_shortened_and_vectors_kept(saved):
    path, digest = saved
    on_disk = safetensors.torch.load_file(path)
    assert on_disk["kernel"].dtype == torch.float16
    assert on_disk["variance"].dtype == torch.float32
    state = load_weights(path, digest)
    assert {tensor.dtype for name, tensor in state.items() if name != "steps"} == {torch.float32}
    assert torch.equal(state["variance"], STATE["variance"])
    assert torch.equal(state["steps"], STATE["steps"])
    torch.testing.assert_close(state["kernel"], STATE["kernel"], rtol=2**-11, atol=0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e6])  # 1e6 is beyond float16
def test_weights_that_are_not_finite_are_not_saved(tmp_path, bad):
    path = tmp_path / "w.safetensors"
    with pytest.raises(WeightsError, match="'kernel'"):
        save_weights({"kernel": torch.full((2, 2), bad)}, path)
    assert list(tmp_path.iterdir()) == []


def test_weights_of_others_that_are_not_finite_are_not_taken(tmp_path):
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file({"kernel": torch.tensor([1.0, float("nan")])}, path)
    with pytest.raises(WeightsError, match="'kernel'"):
        load_weights(path)


def test_one_flipped_bit_is_noticed(saved):
    path, digest = saved
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="SHA-256"):
        load_weights(path, digest)


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.bin", "w.ckpt", "w.pkl"])
def test_pickles_are_refused_unopened(tmp_path, name):
    path = tmp_path / name
    torch.save({"a": torch.ones(1)}, path)
    with pytest.raises(WeightsError, match="pickle"):
        load_weights(path)


GOOD = serialize(STATE)


@given(st.binary(max_size=300) | st.integers(0, len(GOOD) - 1).map(lambda end: GOOD[:end]))
def test_damaged_files_are_one_sentence(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("damaged") / "w.safetensors"
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="is damaged"):
        load_weights(path)


def test_a_full_disk_leaves_what_was_there(saved):
    path, digest = saved
    with full_disk(), pytest.raises(OutputError, match="No space left"):
        save_weights({"kernel": torch.zeros(2, 2)}, path)
    assert sha256_of(path) == digest
    assert list(path.parent.iterdir()) == [path]
