"""What settings may say of random draws, and the draws."""

from typing import Annotated, TypeVar

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

Bounds = TypeVar("Bounds", tuple[float, float], tuple[int, int])


def rising(bounds: Bounds) -> Bounds:
    """Validate that a range does not fall."""
    if bounds[0] > bounds[1]:
        raise ValueError(f"the lower bound {bounds[0]:g} is above the upper one {bounds[1]:g}")
    return bounds


Range = tuple[float, float]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(rising)]
ShareRange = Annotated[tuple[Share, Share], AfterValidator(rising)]


def uniform(shape: tuple[int, ...], bounds: Range, generator: torch.Generator) -> Tensor:
    """Draw floats between two bounds."""
    low, high = bounds
    return low + (high - low) * torch.rand(shape, generator=generator)


def chance(shape: tuple[int, ...], probability: float, generator: torch.Generator) -> Tensor:
    """Draw bools that are true with this probability."""
    return torch.rand(shape, generator=generator) < probability
