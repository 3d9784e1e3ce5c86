"""Encoders on a CPU without PyTorch: converted to ONNX, computed by ONNX Runtime or OpenVINO, in float32 or int8.

This file imports nothing heavy, so that the command line can name the runtimes.
"""

from importlib.util import find_spec
from typing import Literal

from ferkit.errors import InputError, WeightsError

Runtime = Literal["torch", "onnx", "openvino"]

RUNTIMES: tuple[Runtime, ...] = ("torch", "onnx", "openvino")

CONVERTED: tuple[Runtime, ...] = ("openvino", "onnx")
"""Those that an encoder is converted for; OpenVINO first, since its extra brings ONNX Runtime with it."""

FLOAT32, INT8 = "float32", "int8"
PRECISIONS = (FLOAT32, INT8)

_MODULES = {
    "torch": ("torch",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("onnx", "onnxscript", "onnxruntime", "openvino"),
}
"""What a runtime needs. OpenVINO reads what PyTorch's ONNX exporter and ONNX Runtime's quantiser wrote."""


class ConversionError(WeightsError):
    """A network cannot be converted, or computes something else afterwards."""


def is_installed(runtime: Runtime) -> bool:
    """Whether all that the runtime needs is there; nothing of it is loaded."""
    return all(find_spec(module) is not None for module in _MODULES[runtime])


def require_installed(runtime: Runtime) -> None:
    """Say how a runtime is installed.

    Raises:
        InputError: it is not.
    """
    if not is_installed(runtime):
        raise InputError(f"{runtime} is not installed; type `pip install 'ferkit[{runtime}]'`")
