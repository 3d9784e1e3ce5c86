"""Faces from disk, one batch ahead of the training."""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Drawn = tuple[NDArray[np.int64], np.random.Generator]
"""The faces of a batch, and the source of what is drawn for them, such as other frames of their clips."""


class Faces(Protocol):
    """What the loop asks of a face set."""

    weights: NDArray[np.float64] | None
    """How often each face is drawn, relative to the others; None draws all alike."""

    def __len__(self) -> int:
        """Count the faces."""

    def batch(self, indices: NDArray[np.int64], generator: np.random.Generator) -> Mapping[str, NDArray[Any]]:
        """Read "crops", (n, H, W, 3) uint8, and what else the method needs, n rows each; chance is the generator's."""


def read_ahead(faces: Faces, order: Iterable[Drawn], device: torch.device) -> Iterator[dict[str, Tensor]]:
    """Yield batches on ``device``, reading the next one in a thread.

    For a GPU the thread leaves them in page-locked memory, so that the host need not wait for the copy.
    """
    pin = device.type == "cuda"
    with ThreadPoolExecutor(1) as reader:
        ahead = None
        for drawn in order:
            following = reader.submit(_read, faces, drawn, pin)
            if ahead is not None:
                yield _to_device(ahead.result(), device)
            ahead = following
        if ahead is not None:
            yield _to_device(ahead.result(), device)


def _read(faces: Faces, drawn: Drawn, pin: bool) -> dict[str, Tensor]:
    tensors = {name: torch.from_numpy(values) for name, values in faces.batch(*drawn).items()}
    return {name: tensor.pin_memory() for name, tensor in tensors.items()} if pin else tensors


def _to_device(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
