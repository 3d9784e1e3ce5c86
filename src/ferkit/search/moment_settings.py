"""What counts as a moment: settings that the command line states without loading anything else."""

import math
from dataclasses import dataclass, fields
from typing import TypedDict

from ferkit.errors import InputError
from ferkit.settings import setting

_GROUP = "Moments"


@dataclass(frozen=True)
class MomentSettings:
    """What counts as a moment; the defaults are ferkit's.

    Raises:
        InputError: a value is negative or not finite.
    """

    prominence: float = setting(
        0.2, "How far the score must rise before and fall after a moment, at least.", min=0, group=_GROUP
    )
    shortest: float = setting(0.2, "Leave out moments shorter than this, in seconds.", min=0, group=_GROUP)
    smooth: float = setting(
        0.1, "Standard deviation of the Gaussian that smooths the score over time, in seconds.", min=0, group=_GROUP
    )
    gap: float = setting(
        0.5, "A face that is not seen for longer than this, in seconds, ends a moment.", min=0, group=_GROUP
    )

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value < math.inf:
                raise InputError(f"--{field.name} must be a number of 0 or more, not {value}")


class MomentKeywords(TypedDict, total=False):
    """Keyword arguments of `MomentSettings`."""

    prominence: float
    shortest: float
    smooth: float
    gap: float
