import numpy as np
import pytest

from ferkit.encoders.encoder import random_encoder
from ferkit.encoders.runtimes import ConversionError, is_installed
from ferkit.errors import InputError
from ferkit.pipeline import runtimes
from ferkit.pipeline.face_stream import SetStream
from ferkit.pipeline.runtimes import AUTOMATIC_FROM, RuntimeChoice, choose_runtime, open_runtime

MANY, FEW = AUTOMATIC_FROM, AUTOMATIC_FROM - 1


@pytest.fixture
def installed(monkeypatch):
    """Say which runtimes are there."""

    def only(*names):
        monkeypatch.setattr(runtimes, "is_installed", names.__contains__)
        monkeypatch.setattr("ferkit.encoders.runtimes.is_installed", names.__contains__)

    return only


@pytest.mark.parametrize(
    ("there", "precision", "faces", "runtime"),
    [
        (["torch", "onnx", "openvino"], "float32", MANY, "openvino"),
        (["torch", "onnx"], "float32", MANY, "onnx"),
        (["torch"], "float32", MANY, "torch"),
        (["torch", "onnx", "openvino"], "float32", FEW, "torch"),
        (["torch", "onnx"], "int8", FEW, "onnx"),
    ],
)
def test_what_is_chosen_where_nothing_is_wanted(installed, there, precision, faces, runtime):
    installed(*there)
    assert choose_runtime(None, precision, "cpu", faces).runtime == runtime


@pytest.mark.parametrize(
    ("wanted", "precision", "device", "message"),
    [
        ("openvino", "float32", None, r"ferkit\[openvino\]"),
        ("torch", "int8", None, "openvino or onnx"),
        (None, "int8", "cuda:1", "'cuda:1'"),
    ],
)
def test_what_does_not_go_together_is_refused(installed, wanted, precision, device, message):
    installed("torch")
    with pytest.raises(InputError, match=message):
        choose_runtime(wanted, precision, device, MANY)


@pytest.fixture
def stream(make_face_set, noise_crops):
    return SetStream(make_face_set(noise_crops(120)))


@pytest.fixture
def model(one_onnx):
    return random_encoder("resnet10t", 32)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FERKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def refuse(*_):
    raise ConversionError("no such operator")


def test_a_runtime_that_fails_is_replaced_only_where_nobody_asked_for_it(model, stream, cache, listener, monkeypatch):
    monkeypatch.setattr(runtimes, "_open_converted", refuse)
    told = listener()
    ready = open_runtime(RuntimeChoice("onnx", "float32", asked=False), model, stream, told)
    assert (ready.runtime, ready.embedder) == ("torch", model)
    assert told.said == ["computing with torch: no such operator"]
    with pytest.raises(ConversionError, match="no such operator"):
        open_runtime(RuntimeChoice("onnx", "float32", asked=True), model, stream, told)


def test_int8_needs_faces_to_calibrate_on(model, make_face_set, noise_crops, listener):
    few = SetStream(make_face_set(noise_crops(99)))
    with pytest.raises(InputError, match="99"):
        open_runtime(RuntimeChoice("onnx", "int8", asked=True), model, few, listener())


needs_onnx = pytest.mark.skipif(not is_installed("onnx"), reason="ONNX Runtime is not installed")


@needs_onnx
@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_a_converted_encoder_is_kept_and_used_again(model, stream, cache, listener, name, monkeypatch):
    if not is_installed(name):
        pytest.skip(f"{name} is not installed")
    crops = stream.face_set.crops(range(5))
    ready = open_runtime(RuntimeChoice(name, "int8", asked=True), model, stream, told := listener())
    assert told.said[-1] == f"computing with {name} in int8"
    cosines = (ready.embedder.embed(crops) * model.embed(crops)).sum(axis=1)
    assert cosines.min() > 0.98
    monkeypatch.setattr(runtimes, "_convert", refuse)
    again = open_runtime(RuntimeChoice(name, "int8", asked=True), model, stream, listener())
    np.testing.assert_array_equal(again.embedder.embed(crops), ready.embedder.embed(crops))
    assert again.calibration == ready.calibration
    assert len(again.calibration) == 16


def flip(file):
    """Change one bit of some weight."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 0x40
    file.write_bytes(data)


@needs_onnx
@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("onnx", lambda file: file.write_bytes(file.read_bytes()[:1000])),
        ("openvino", lambda folder: flip(folder / "model.bin")),
        ("onnx", lambda file: file.with_name(f"{file.name}.sha256").unlink()),
    ],
)
def test_what_is_kept_damaged_is_made_anew(model, stream, cache, listener, name, damage):
    if not is_installed(name):
        pytest.skip(f"{name} is not installed")
    chosen, crops = RuntimeChoice(name, "float32", asked=True), stream.face_set.crops(range(3))
    open_runtime(chosen, model, stream, listener())
    (kept,) = (path for path in (cache / "runtimes").iterdir() if path.suffix != ".sha256")
    damage(kept)
    ready = open_runtime(chosen, model, stream, told := listener())
    np.testing.assert_allclose(ready.embedder.embed(crops), model.embed(crops), atol=1e-5)
    assert "is damaged, so it is made anew" in told.said[0]
    open_runtime(chosen, model, stream, told := listener())
    assert len(told.said) == 1
