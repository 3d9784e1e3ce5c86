"""Networks computed by OpenVINO, which several threads call at once."""

from __future__ import annotations

import queue
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import openvino


def openvino_calls(
    network: openvino.Model | Path, threads: int, precision: str = "f32"
) -> Callable[[NDArray[np.uint8]], NDArray[Any]]:
    """Compile a network of one input and one output for the CPU.

    Args:
        network: a model, or its ``.xml`` file.
        threads: calls that may run side by side; each computes on one thread.
        precision: ``f32``, or ``bf16`` where the processor has it.

    Returns:
        A function from an array that lies in one piece to a new one.

    Raises:
        RuntimeError: the processor cannot compute the network in that precision.
    """
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": threads,
        "INFERENCE_PRECISION_HINT": precision,
        "ENABLE_CPU_PINNING": False,  # else all processes pin their threads to the same first cores
    }
    compiled = openvino.Core().compile_model(network, "CPU", settings)
    # Two threads that give OpenVINO its first array at once would wait for each other for ever.
    openvino.Tensor(np.zeros(1, np.uint8))
    free: queue.SimpleQueue[openvino.InferRequest] = queue.SimpleQueue()
    for _ in range(threads):
        free.put(compiled.create_infer_request())

    def compute(array: NDArray[np.uint8]) -> NDArray[Any]:
        request = free.get()
        try:
            output: NDArray[Any] = request.infer([array], share_inputs=True)[0]
            return output
        finally:
            free.put(request)

    return compute
