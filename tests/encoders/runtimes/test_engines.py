import numpy as np
import pytest
from torch import nn

from ferkit.encoders.encoder import Encoder, random_encoder
from ferkit.encoders.runtimes import ConversionError
from ferkit.encoders.runtimes.engines import open_onnx, open_openvino, write_onnx, write_openvino
from ferkit.encoders.runtimes.onnx_model import quantize_onnx

ENGINES = {"onnx": (write_onnx, open_onnx), "openvino": (write_openvino, open_openvino)}


@pytest.fixture(params=ENGINES)
def engine(request, onnx_model, tmp_path):
    """Write a model and open it again."""
    if request.param == "openvino":
        pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install 'ferkit[openvino]'")
    write, open_file = ENGINES[request.param]

    def use(model):
        write(model, tmp_path / "x.onnx")
        return open_file(tmp_path / "x.onnx", 1)

    use.name = request.param
    return use


def test_int8_is_near_and_not_the_same(engine, encoder, onnx_model, crops):
    vectors = engine(quantize_onnx(onnx_model, crops, first_layer=engine.name == "onnx"))(crops)
    wanted = encoder.embed(crops)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert (vectors * wanted).sum(axis=1).mean() > 0.98
    assert np.abs(vectors - wanted).max() > 1e-4


def test_a_computed_vector_survives_the_next_call(engine, onnx_model, crops):
    compute = engine(onnx_model)
    first = compute(crops[:4])
    before = first.copy()
    compute(crops[4:8])
    np.testing.assert_array_equal(first, before)


def test_the_file_says_what_it_is(onnx_model):
    told = {entry.key: entry.value for entry in onnx_model.metadata_props}
    assert (told["name"], told["sha256"]) == ("random-resnet10t", "ab" * 32)
    assert told["input"] == "(N, 128, 128, 3) uint8 RGB, aligned to ferkit-128"
    (given,) = onnx_model.graph.input
    assert [axis.dim_value for axis in given.type.tensor_type.shape.dim] == [0, 128, 128, 3]


def test_a_network_that_cannot_be_exported_is_refused(onnx_model):
    from ferkit.encoders.export import onnx_of

    class ByValue(nn.Module):
        def forward(self, x):
            return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))

    made = random_encoder("resnet10t", input_size=32)
    with pytest.raises(ConversionError, match="cannot be exported to ONNX"):
        onnx_of(Encoder(made.entry.model_copy(update={"dim": 3}), ByValue()), 128)
