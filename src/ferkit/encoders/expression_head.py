"""What vectors say of expressions: a prototype and a probability of each class, and whether two faces show the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ferkit.documents import parse_json
from ferkit.encoders.weights import load_weights, read_metadata, save_weights
from ferkit.errors import UnknownNameError, WeightsError

DIMENSIONS = ("valence", "arousal")
"""What `ExpressionHead.affect` gives, in this order."""

Floats = NDArray[np.floating[Any]]


class UnknownExpressionError(UnknownNameError):
    """The head knows no such class."""

    kind = "expression"


@dataclass(frozen=True, eq=False)
class ExpressionHead:
    """A linear reading of one encoder's vectors, kept beside its weights."""

    encoder: str  # sha256 of the weights file whose vectors it reads
    classes: tuple[str, ...]  # C names, such as those of `ferkit.data.expressions.EXPRESSIONS`
    prototypes: NDArray[np.float32]  # (C, D) float32 of length 1, the mean vector of each class
    weight: NDArray[np.float32]  # (C, D) float32, calibrated: logits are ``vectors @ weight.T + bias``
    bias: NDArray[np.float32]  # (C,) float32
    # slope and intercept of the logistic curve from the cosine of two people's faces to the probability that they show
    # one expression; None where it was not fitted
    same: tuple[float, float] | None = None
    affect_weight: NDArray[np.float32] | None = None  # (2, D) float32, of `DIMENSIONS`; None where it was not fitted
    affect_bias: NDArray[np.float32] | None = None  # (2,) float32, with ``affect_weight``

    def probabilities(self, vectors: Floats) -> NDArray[np.float32]:
        """Return the (N, C) probabilities of the classes for (N, D) vectors of length 1; rows sum to 1."""
        logits = np.asarray(vectors, np.float64) @ self.weight.T.astype(np.float64) + self.bias
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)

    def same_probability(self, cosines: Floats) -> Floats:
        """Return the probabilities that pairs of faces with these cosines show one expression, of the same shape.

        They hold for two people drawn such that both are as likely to show one expression as two, and every class is
        as likely as any other; `ferkit.evaluation.expression_head` fits them so.

        Raises:
            WeightsError: the curve was not fitted.
        """
        if self.same is None:
            raise WeightsError("this head tells classes alone, not whether two faces show the same expression")
        slope, intercept = self.same
        return 1 / (1 + np.exp(-(slope * np.asarray(cosines, np.float64) + intercept)))

    def affect(self, vectors: Floats) -> NDArray[np.float32] | None:
        """Return (N, 2) valence and arousal in [-1, 1] of (N, D) vectors; None where they were not fitted."""
        if self.affect_weight is None or self.affect_bias is None:
            return None
        values: Floats = np.asarray(vectors, np.float64) @ self.affect_weight.T.astype(np.float64) + self.affect_bias
        return np.clip(values, -1, 1).astype(np.float32)

    def prototype(self, name: str) -> NDArray[np.float32]:
        """Return the (D,) prototype of a class; `UnknownExpressionError` as `column`."""
        row: NDArray[np.float32] = self.prototypes[self.column(name)]
        return row

    def column(self, name: str) -> int:
        """Return the place of a class among `classes`.

        Raises:
            UnknownExpressionError: there is no such class; says the nearest ones.
        """
        if name not in self.classes:
            raise UnknownExpressionError(name, self.classes)
        return self.classes.index(name)

    def save(self, path: Path) -> str:
        """Write it as safetensors and return the file's SHA-256.

        Raises:
            WeightsError: a value is NaN or infinite.
            OutputError: it cannot be written; what was there is unchanged.
        """
        arrays: dict[str, Any] = {name: getattr(self, name) for name in (*_TENSORS, *_OPTIONAL)}
        state = {
            name: torch.tensor(np.asarray(values, np.float32)) for name, values in arrays.items() if values is not None
        }
        metadata = {"encoder": self.encoder, "classes": list(self.classes)}
        return save_weights(state, path, half=False, metadata=json.dumps(metadata))

    @classmethod
    def load(cls, path: Path, expected_sha256: str | None = None, *, encoder: str, name: str) -> ExpressionHead:
        """Read a head, and check that it reads the vectors of an encoder.

        Args:
            path: a ``.safetensors`` file of `save`.
            expected_sha256: of the file; None takes it as it is.
            encoder: sha256 of the encoder's weights.
            name: of the encoder, for the message.

        Raises:
            WeightsError: missing, damaged, no head, or of another encoder.
        """
        state = load_weights(path, expected_sha256)
        try:
            metadata = parse_json(read_metadata(path))
            classes = tuple(map(str, metadata["classes"]))
            made_for = str(metadata["encoder"])
            arrays = {key: state[key].numpy() for key in (*_TENSORS, *(key for key in _OPTIONAL if key in state))}
            _check_shapes(arrays, len(classes))
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(
                f"{str(path)!r} is no expression head; `ferkit probe ENCODER --save-head HEAD` makes one"
            ) from error
        if made_for != encoder:
            raise WeightsError(
                f"the head {str(path)!r} reads the vectors of the encoder with the SHA-256 {made_for[:12]}…, not those "
                f"of {name!r} ({encoder[:12]}…); fit one: `ferkit probe {name} --save-head HEAD`"
            )
        same = arrays.pop("same", None)
        return cls(made_for, classes, same=None if same is None else (float(same[0]), float(same[1])), **arrays)


_TENSORS = ("prototypes", "weight", "bias")
_OPTIONAL = ("same", "affect_weight", "affect_bias")


def _check_shapes(arrays: dict[str, Floats], classes: int) -> None:
    dim = arrays["prototypes"].shape[-1]
    shapes: dict[str, Sequence[int]] = {"prototypes": (classes, dim), "weight": (classes, dim), "bias": (classes,)}
    shapes |= {"same": (2,), "affect_weight": (len(DIMENSIONS), dim), "affect_bias": (len(DIMENSIONS),)}
    if wrong := [name for name, array in arrays.items() if array.shape != tuple(shapes[name])]:
        raise ValueError(f"{wrong[0]} has the shape {arrays[wrong[0]].shape}")
