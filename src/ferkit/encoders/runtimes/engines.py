"""ONNX Runtime and OpenVINO: a converted file in, a function from crops to vectors out.

Each call computes on one thread and several calls run side by side: the number of threads never changes a vector.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ferkit.encoders.encoder import Encoder
from ferkit.encoders.runtimes.onnx_model import INPUT, OUTPUT
from ferkit.errors import InputError
from ferkit.ops.openvino_calls import openvino_calls

if TYPE_CHECKING:
    from onnx import ModelProto

Compute = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""(N, side, side, 3) uint8 crops to (N, D) vectors of length 1; may be called from several threads."""

OPENVINO_FILE = "model.xml"


def write_onnx(model: ModelProto, path: Path) -> None:
    """Write one ``.onnx`` file with everything in it."""
    path.write_bytes(model.SerializeToString())


def write_openvino(model: ModelProto, folder: Path) -> None:
    """Make ``folder`` with ``model.xml`` and ``model.bin``, weights in the precision that they have."""
    import openvino

    folder.mkdir()
    # Core.read_model and no openvino.convert_model, which reports to its makers.
    converted = openvino.Core().read_model(model.SerializeToString())
    for entry in model.metadata_props:
        converted.set_rt_info(entry.value, ["ferkit", entry.key])
    # OpenVINO's own writer would end the process on a full disk.
    free, needed = shutil.disk_usage(folder).free, 2 * model.ByteSize()
    if free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    openvino.save_model(converted, folder / OPENVINO_FILE, compress_to_fp16=False)


def open_onnx(path: Path, threads: int) -> Compute:
    """Open a file of `write_onnx`; ``threads`` calls may run side by side."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])

    def compute(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = session.run([OUTPUT], {INPUT: crops})[0]
        return vectors

    return compute


def open_openvino(folder: Path, threads: int) -> Compute:
    """Open a folder of `write_openvino`; ``threads`` calls may run side by side."""
    return openvino_calls(folder / OPENVINO_FILE, threads)


class ConvertedEncoder:
    """Gives vectors as `Encoder.embed` does, batches side by side."""

    def __init__(self, encoder: Encoder, compute: Compute, side: int, threads: int) -> None:
        self._encoder, self._compute, self._side = encoder, compute, side
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="encode")

    def embed(self, crops: NDArray[np.uint8], *, batch_size: int = 64) -> NDArray[np.float32]:
        """Return the (N, D) vectors of (N, side, side, 3) uint8 RGB crops.

        Raises:
            InputError: as `Encoder.embed`, or the crops are not of the side that the encoder was converted for.
        """
        self._encoder.check(crops, batch_size)
        if crops.shape[1:3] != (self._side, self._side):
            shape = f"{crops.shape[1]}×{crops.shape[2]}"
            raise InputError(f"the encoder was converted for crops of {self._side} px, not {shape}; use torch")
        rows = np.empty((len(crops), self._encoder.dim), np.float32)

        def work(start: int) -> None:
            batch = slice(start, start + batch_size)
            rows[batch] = self._compute(np.ascontiguousarray(crops[batch]))

        list(self._pool.map(work, range(0, len(crops), batch_size)))
        return rows
