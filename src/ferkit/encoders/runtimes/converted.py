"""An encoder whose vectors another runtime computes."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from ferkit.encoders.encoder import Encoder
from ferkit.encoders.runtimes.engines import Compute
from ferkit.errors import InputError


class ConvertedEncoder:
    """Gives vectors as `Encoder.embed` does, batches side by side.

    Args:
        encoder: what was converted; says which crops are right.
        compute: the opened file.
        side: of the crops that it was converted for, in pixels.
        threads: batches that are computed at the same time.
    """

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
