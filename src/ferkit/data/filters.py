"""Which faces are good enough to be looked at: limits on what `ferkit.faces.quality` measured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ferkit.errors import InputError

MEASURES = ("size", "yaw", "sharpness", "score")
"""What is known of a face that may be limited."""

_HIGHEST = {"min_size": math.inf, "max_yaw": 90.0, "min_sharpness": 1.0, "min_score": 1.0}


@dataclass(frozen=True, slots=True)
class FaceFilter:
    """Limits that a face must keep; None sets none.

    A face that lacks a value does not pass a limit on it, but for the score, which crops do not have.

    Raises:
        InputError: a limit is negative, not finite, or beyond what there can be.
    """

    min_size: float | None = None  # least shorter side of the box, in pixels of the original
    max_yaw: float | None = None  # furthest that the head may be turned to either side, in degrees, at most 90
    min_sharpness: float | None = None  # least sharpness, at most 1
    min_score: float | None = None  # least confidence of the detector, at most 1

    def __post_init__(self) -> None:
        for name, value in self._limits().items():
            if not 0 <= value <= _HIGHEST[name] or math.isinf(value):
                most = f"from 0 to {_HIGHEST[name]:g}" if math.isfinite(_HIGHEST[name]) else "of 0 or more pixels"
                raise InputError(f"{_option(name)} must be a number {most}, not {value:g}")

    def __bool__(self) -> bool:
        return bool(self._limits())

    def keep(self, faces: Sequence[object]) -> NDArray[np.bool_]:
        """Return (n,) whether each face passes; a face has the attributes of `MEASURES`, as `Face` has."""
        return self._passed(
            *(
                np.array([getattr(face, name) for face in faces], dtype=np.float64)  # None becomes NaN
                for name in MEASURES
            )
        )

    def keep_rows(self, table: pa.Table) -> NDArray[np.bool_]:
        """Return (n,) whether each row passes; the table has the columns `MEASURES`, if no others."""
        return self._passed(*(table.column(name).to_numpy().astype(np.float64) for name in MEASURES))

    def describe(self) -> str:
        """Return the limits as the command line writes them: ``--min-size 40 --max-yaw 30``."""
        return " ".join(f"{_option(name)} {value:g}" for name, value in self._limits().items())

    def _limits(self) -> dict[str, float]:
        limits = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in limits.items() if value is not None}

    def _passed(
        self,
        size: NDArray[np.float64],
        yaw: NDArray[np.float64],
        sharpness: NDArray[np.float64],
        score: NDArray[np.float64],
    ) -> NDArray[np.bool_]:
        # A comparison with NaN is false, so that what is not known does not pass.
        passed = np.ones(len(size), np.bool_)
        if self.min_size is not None:
            passed &= size >= self.min_size
        if self.max_yaw is not None:
            passed &= np.abs(yaw) <= self.max_yaw
        if self.min_sharpness is not None:
            passed &= sharpness >= self.min_sharpness
        if self.min_score is not None:
            passed &= ~(score < self.min_score)
        return passed


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
