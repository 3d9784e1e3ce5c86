import pytest
from torch import nn

from ferkit.encoders.encoder import Encoder, random_encoder
from ferkit.encoders.runtimes import ConversionError
from ferkit.encoders.runtimes.onnx_model import quantize_onnx


def steps_before(model, name):
    """Operators that the input of the first convolution is made by."""
    makers = {output: node for node in model.graph.node for output in node.output}
    waiting, found = [name], []
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None:
            found.append(node.op_type)
            waiting += node.input
    return found


def first_convolution(model):
    return next(node for node in model.graph.node if node.op_type == "Conv")


def test_the_file_says_what_it_is(onnx_model):
    told = {entry.key: entry.value for entry in onnx_model.metadata_props}
    assert (told["name"], told["sha256"]) == ("random-resnet10t", "ab" * 32)
    assert told["input"] == "(N, 128, 128, 3) uint8 RGB, aligned to ferkit-128"
    (given,) = onnx_model.graph.input
    assert [axis.dim_value for axis in given.type.tensor_type.shape.dim] == [0, 128, 128, 3]


def test_the_image_is_prepared_in_float32(onnx_model, crops):
    model = quantize_onnx(onnx_model, crops)
    assert steps_before(model, first_convolution(model).input[0]).count("QuantizeLinear") == 1


def test_the_first_layer_stays_in_float32_on_request(onnx_model, crops):
    model = quantize_onnx(onnx_model, crops, first_layer=False)
    first = first_convolution(model)
    assert "QuantizeLinear" not in steps_before(model, first.input[0])
    assert "DequantizeLinear" in {node.op_type for node in model.graph.node}


def test_a_network_that_cannot_be_exported_is_refused(onnx_model):
    from ferkit.encoders.export import onnx_of

    class ByValue(nn.Module):
        def forward(self, x):
            return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))

    made = random_encoder("resnet10t", input_size=32)
    with pytest.raises(ConversionError, match="cannot be exported to ONNX"):
        onnx_of(Encoder(made.entry.model_copy(update={"dim": 3}), ByValue()), 128)
