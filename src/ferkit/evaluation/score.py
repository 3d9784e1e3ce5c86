"""An accuracy that says how sure it is."""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Z95 = 1.959964
"""97.5 % of a normal distribution lies below it."""


@dataclass(frozen=True, slots=True)
class Score:
    """The share of right answers.

    Attributes:
        accuracy: in [0, 1].
        interval: lower and upper end of the 95 % interval.
        count: answers given.
    """

    accuracy: float
    interval: tuple[float, float]
    count: int


def score_of(predicted: NDArray[Any], true: NDArray[Any]) -> Score:
    """Return the share of equal entries, with Wilson's interval (JASA 22, 1927, p. 209).

    Args:
        predicted: (N,) answers, N at least 1.
        true: (N,) what they should be.
    """
    count, share = len(true), float(np.mean(predicted == true))
    spread = _Z95**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = _Z95 / (1 + spread) * sqrt(share * (1 - share) / count + spread / (4 * count))
    return Score(share, (max(0.0, middle - half), min(1.0, middle + half)), count)
