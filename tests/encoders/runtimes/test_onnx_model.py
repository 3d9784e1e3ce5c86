import pytest
from torch import nn

from ferkit.encoders.encoder import Encoder, random_encoder
from ferkit.encoders.runtimes import ConversionError


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
