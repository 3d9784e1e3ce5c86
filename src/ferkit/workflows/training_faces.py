"""A face set as training reads it: batches of crops, with the labels and landmarks that a method asks for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ferkit.data.face_set import FaceSet

__all__ = ["TrainingFaces"]


class TrainingFaces:
    """What `ferkit.training.loop.train` reads.

    Args:
        faces: an opened face set.
        needs: of the method: "label" and "landmarks" are known.
        classes: labels in the order of their numbers.
    """

    def __init__(self, faces: FaceSet, needs: Collection[str] = (), classes: Sequence[str] = ()) -> None:
        self.faces = faces
        self.weights: NDArray[np.float64] | None = None
        self._more: dict[str, NDArray[Any]] = {}
        if "label" in needs:
            self._more["label"] = _class_numbers(faces, classes)
        if "landmarks" in needs:
            self._more["landmarks"] = _crop_landmarks(faces)

    def __len__(self) -> int:
        return len(self.faces)

    def weigh(self, face_weights: Callable[[Tensor], Tensor | None]) -> None:
        """Let a method that needs labels say how often each face is drawn: its `Method.face_weights`."""
        if "label" in self._more:
            weights = face_weights(torch.from_numpy(self._more["label"]))
            self.weights = None if weights is None else weights.numpy()

    def batch(self, indices: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return "crops", (n, H, W, 3) uint8, "label", (n,) int64, and "landmarks", (n, 5, 2) float32, as needed."""
        return {"crops": self.faces.crops(indices), **{name: rows[indices] for name, rows in self._more.items()}}


def _class_numbers(faces: FaceSet, classes: Sequence[str]) -> NDArray[np.int64]:
    """(N,) place of each face's label among ``classes``; -1 for none and for others."""
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers.get(label, -1) for label in faces.column("label").to_pylist()], np.int64)


def _crop_landmarks(faces: FaceSet) -> NDArray[np.float32]:
    """(N, 5, 2) where the landmarks of the photo lie in the crop; those of the template where there are none."""
    from ferkit.faces.align import landmarks_in_crops
    from ferkit.faces.template import TEMPLATE

    column = faces.column("landmarks").combine_chunks()
    known = np.asarray(column.is_valid())
    points = np.tile(TEMPLATE, (len(faces), 1, 1))
    if known.any():
        points[known] = landmarks_in_crops(np.asarray(column.drop_null().flatten()).reshape(-1, 5, 2))
    return points
