"""Encoders as ONNX: exported from PyTorch, and brought to int8."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from ferkit.encoders.export_module import CropGraph
from ferkit.encoders.runtimes import ConversionError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto

INPUT, OUTPUT = "crops", "vectors"

_OPSET = 18
"""Of 2022: what ONNX Runtime 1.14 and OpenVINO 2023 already read."""

_QUANTISED = ("Conv", "MatMul", "Gemm", "Add", "MaxPool", "AveragePool", "GlobalAveragePool")
_CALIBRATION_BATCH = 10


def export_onnx(graph: CropGraph, side: int) -> ModelProto:
    """Return the graph as ONNX: ``crops`` (N, side, side, 3) uint8 to ``vectors`` (N, D) float32, N at will.

    Raises:
        ConversionError: PyTorch's exporter cannot handle the network.
    """
    # Two crops: a batch of one would be taken for a constant.
    example = torch.zeros((2, side, side, 3), dtype=torch.uint8)
    with _quiet(), torch.no_grad():
        try:
            exported = torch.onnx.export(
                graph,
                (example,),
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes=({0: torch.export.Dim("n", min=1)},),
                opset_version=_OPSET,
                dynamo=True,
                verbose=False,
            )
        except Exception as error:  # whatever the exporter, or the network under it, may raise
            raise ConversionError(
                f"the network cannot be exported to ONNX ({_first_line(error)}); use torch"
            ) from error
    if exported is None:
        raise ConversionError("PyTorch's exporter gave nothing; use torch")
    return exported.model_proto


def without_sources(model: ModelProto) -> ModelProto:
    """Return the model without the exporter's notes at each node: the lines of Python it came of, and their paths."""
    for graph in (model.graph, *model.functions):
        nodes = [*graph.node, *getattr(graph, "input", ()), *graph.value_info, *getattr(graph, "initializer", ())]
        for part in (graph, *(node for node in nodes if hasattr(node, "metadata_props"))):
            part.doc_string = ""
            del part.metadata_props[:]
    return model


def quantize_onnx(model: ModelProto, crops: NDArray[np.uint8], *, first_layer: bool = True) -> ModelProto:
    """Bring a model of `export_onnx` to int8: static, kernels per channel, activations by their range on some faces.

    What stands before the network's first convolution stays in float32.

    Args:
        model: in float32.
        crops: (n, side, side, 3) uint8 faces, whose activations' least and largest values fix the steps.
        first_layer: whether the first convolution is computed in int8 as well.

    Raises:
        ConversionError: the network has no convolution, or ONNX Runtime's quantiser cannot handle it.
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory() as folder, _quiet():
        original, path = Path(folder) / "float32.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, original)  # given as an object, it would be changed
        try:
            quantize_static(
                original,
                path,
                _Faces(crops),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=list(_QUANTISED),
                nodes_to_exclude=_before_network(model.graph, first_layer),
            )
        except ConversionError:
            raise
        except Exception as error:  # whatever the quantiser may raise
            raise ConversionError(f"the network cannot be brought to int8 ({_first_line(error)})") from error
        return onnx.load(path)


class _Faces:
    """Feeds crops to the calibration, as ONNX Runtime's `CalibrationDataReader` does."""

    def __init__(self, crops: NDArray[np.uint8]) -> None:
        self._batches = (
            crops[start : start + _CALIBRATION_BATCH] for start in range(0, len(crops), _CALIBRATION_BATCH)
        )

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def _before_network(graph: GraphProto, first_layer: bool) -> list[str]:
    """Names of the nodes that the first convolution's image comes from, and its own where it stays in float32."""
    makers = {output: node for node in graph.node for output in node.output}
    first = next((node for node in graph.node if node.op_type == "Conv"), None)
    if first is None:
        raise ConversionError("int8 is for networks that begin with a convolution; use float32")
    names = [] if first_layer else [first.name]
    waiting = [first.input[0]]
    while waiting:
        node = makers.get(waiting.pop())
        if node is not None and node.name not in names:
            names.append(node.name)
            waiting += node.input
    return names


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what exporter and quantiser say of their own insides."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
