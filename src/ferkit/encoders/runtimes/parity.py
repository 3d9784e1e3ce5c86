"""Whether a converted encoder still gives the same vectors."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from ferkit.encoders.encoder import Encoder
from ferkit.encoders.runtimes import ConversionError
from ferkit.encoders.runtimes.engines import Compute

LARGEST_DIFFERENCE = 1e-4
"""Between components of vectors of length 1 in float32; other orders of summation make 1e-6."""

LEAST_COSINE_INT8 = 0.98
"""Mean over faces, of int8 vectors with those in float32; ResNets are at 0.998."""

_SPLIT = (1, 7)
"""Sizes of the first batches, since a graph that only fits one size must not pass."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How far the vectors of a converted encoder are from the encoder's own."""

    crops: int  # how many were compared
    difference: float  # largest absolute difference of a component
    cosine: float  # least cosine of two vectors of a crop
    mean_cosine: float  # mean over the crops


def sample_crops(count: int, side: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return crops to compare on: half noise, half as smooth as photographs (octaves of noise, amplitude 1/f).

    Returns:
        (count, side, side, 3) uint8.
    """
    generator = np.random.default_rng(seed)
    noise = generator.integers(0, 256, (count, side, side, 3), np.uint8)
    for crop in noise[1::2]:
        crop[:] = _smooth(generator, side)
    return noise


def parity_of(encoder: Encoder, compute: Compute, crops: NDArray[np.uint8]) -> Parity:
    """Compare vectors of a converted encoder with the encoder's own."""
    own = encoder.embed(crops)
    other = np.concatenate([compute(np.ascontiguousarray(part)) for part in np.split(crops, np.cumsum(_SPLIT))])
    cosines = (own * other).sum(axis=1) / np.maximum(np.linalg.norm(other, axis=1), 1e-12)
    return Parity(len(crops), float(np.abs(own - other).max()), float(cosines.min()), float(cosines.mean()))


def require_parity(parity: Parity, what: str, *, int8: bool = False) -> None:
    """Refuse a converted encoder that gives other vectors.

    Raises:
        ConversionError: the vectors are too far away, or are no numbers.
    """
    # Written so that NaN fails.
    if int8:
        right = parity.mean_cosine >= LEAST_COSINE_INT8
        distance = f"a mean cosine of {parity.mean_cosine:.4f} where {LEAST_COSINE_INT8} is the least"
    else:
        right = parity.difference <= LARGEST_DIFFERENCE
        distance = f"a difference of {parity.difference:.2g} where {LARGEST_DIFFERENCE:g} is the most"
    if not right:
        raise ConversionError(f"{what} gives other vectors than torch ({distance}), so it is not used")


def _smooth(generator: np.random.Generator, side: int) -> NDArray[np.uint8]:
    picture = np.zeros((side, side, 3), np.float32)
    cells = 2
    while cells < side:
        octave = generator.standard_normal((cells, cells, 3)).astype(np.float32) / cells
        picture += cv2.resize(octave, (side, side), interpolation=cv2.INTER_CUBIC)
        cells *= 2
    low, high = picture.min(), picture.max()
    stretched: NDArray[np.float32] = (picture - low) * (255 / (high - low))
    return stretched.astype(np.uint8)
