"""The detector's networks by OpenVINO, which computes them 1.4 to 3 times as fast as torch on a CPU.

They are written in OpenVINO's own operations, so that nothing is exported, converted or kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ferkit.faces.networks import DenseEverywhere, FlattenColumns, MaxPool
from ferkit.ops.openvino_calls import openvino_calls

if TYPE_CHECKING:
    import openvino


class OpenVinoNetwork(nn.Module):
    """A network of `ferkit.faces.networks`; each call computes on one thread.

    Args:
        network: layers in a row, on the CPU, in float32.
        threads: calls that may run side by side.
        half: compute in bfloat16 where the processor has instructions for it.
    """

    def __init__(self, network: nn.Module, threads: int, *, half: bool = False) -> None:
        super().__init__()
        import openvino

        graph = _graph(network)
        half = half and "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        try:
            self._compute = openvino_calls(graph, threads, "bf16" if half else "f32")
        except RuntimeError:  # ONEDNN_MAX_CPU_ISA may forbid what the processor has
            if not half:
                raise
            self._compute = openvino_calls(graph, threads)

    def forward(self, images: Tensor) -> Tensor:
        """Return the network's float32 outputs for (B, H, W, 3) uint8 images; a new shape takes some ms more."""
        some = images if len(images) else images.new_zeros(1, *images.shape[1:])  # OpenVINO takes no empty batch
        return torch.from_numpy(self._compute(some.contiguous().numpy()))[: len(images)]


def _graph(network: nn.Module) -> openvino.Model:
    """The network for (B, H, W, 3) uint8 images of any size."""
    import openvino
    from openvino import opset13 as op

    images = op.parameter([-1, -1, -1, 3], openvino.Type.u8)
    x: Any = op.transpose(op.convert(images, "f32"), [0, 3, 1, 2])
    for layer in network.children():
        weights = {name: value.numpy() for name, value in layer.named_parameters()}
        match layer:
            case nn.Conv2d():
                x = op.convolution(x, weights["weight"], [1, 1], [0, 0], [0, 0], [1, 1])
                x = op.add(x, weights["bias"][:, None, None])
            case DenseEverywhere():
                x = op.convolution(x, weights["weight"][:, :, None, None], [1, 1], [0, 0], [0, 0], [1, 1])
                x = op.add(x, weights["bias"][:, None, None])
            case nn.Linear():
                x = op.add(op.matmul(x, weights["weight"], False, True), weights["bias"])
            case nn.PReLU():
                x = op.prelu(x, weights["weight"])
            case MaxPool():
                x = op.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [layer.side] * 2, "ceil").output(0)
            case FlattenColumns():
                x = op.reshape(op.transpose(x, [0, 3, 2, 1]), [0, -1], special_zero=True)
            case _:
                raise TypeError(f"no operation for {layer}")
    return openvino.Model([x], [images])
