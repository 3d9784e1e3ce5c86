"""Which faces are good enough to be looked at: limits on what `ferkit.faces.quality` measured."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ferkit.errors import InputError

Numbers = NDArray[np.float64]


class _Limit(NamedTuple):
    measure: str  # of a face
    highest: float  # that a limit can be
    passes: Callable[[Numbers, float], NDArray[np.bool_]]  # which values keep a limit; NaN is none that is known


# A comparison with NaN is false, so that what is not known does not pass.
_LIMITS: Mapping[str, _Limit] = {
    "min_size": _Limit("size", math.inf, lambda sizes, least: sizes >= least),
    "max_yaw": _Limit("yaw", 90, lambda degrees, most: np.abs(degrees) <= most),
    "min_sharpness": _Limit("sharpness", 1, lambda values, least: values >= least),
    "min_score": _Limit("score", 1, lambda scores, least: ~(scores < least)),
}

MEASURES = tuple(limit.measure for limit in _LIMITS.values())
"""What is known of a face that may be limited."""


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
            highest = _LIMITS[name].highest
            if not 0 <= value <= highest or math.isinf(value):
                most = f"from 0 to {highest:g}" if math.isfinite(highest) else "of 0 or more pixels"
                raise InputError(f"{_option(name)} must be a number {most}, not {value:g}")

    def __bool__(self) -> bool:
        return bool(self._limits())

    def keep(self, faces: Sequence[object]) -> NDArray[np.bool_]:
        """Return (n,) whether each face passes; a face has the attributes of `MEASURES`, as `Face` has."""
        measured = {name: [getattr(face, name) for face in faces] for name in MEASURES}
        return self._keep({name: np.array(values, np.float64) for name, values in measured.items()})  # None becomes NaN

    def keep_rows(self, table: pa.Table) -> NDArray[np.bool_]:
        """Return (n,) whether each row passes; the table has the columns `MEASURES`, if no others."""
        return self._keep({name: table.column(name).to_numpy().astype(np.float64) for name in MEASURES})

    def describe(self) -> str:
        """Return the limits as the command line writes them: ``--min-size 40 --max-yaw 30``."""
        return " ".join(f"{_option(name)} {value:g}" for name, value in self._limits().items())

    def each(self) -> "list[FaceFilter]":
        """Return a filter for each of the limits."""
        return [FaceFilter(**{name: value}) for name, value in self._limits().items()]

    def _limits(self) -> dict[str, float]:
        limits = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in limits.items() if value is not None}

    def _keep(self, measured: Mapping[str, Numbers]) -> NDArray[np.bool_]:
        passed = np.ones(len(measured["size"]), np.bool_)
        for name, value in self._limits().items():
            passed &= _LIMITS[name].passes(measured[_LIMITS[name].measure], value)
        return passed


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")
