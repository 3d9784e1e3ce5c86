"""Do embeddings find the face that people call the least similar of three?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.evaluation.rows import Rows, has_embedding, unit_rows


@dataclass(frozen=True, slots=True, eq=False)
class OddOneOutScore:
    """Triplet accuracy of the facial expression comparison data set (arXiv:1811.11283); by chance 1/3.

    Attributes:
        accuracy: share of triplets whose odd face is found.
        by_kind: the same for the triplets of each kind, and how many they are.
        right: (T,) of each triplet: 1, 0, or between where several pairs are equally near.
        coverage: share of triplets whose three faces have a vector; the others count as wrong.
    """

    accuracy: float
    by_kind: dict[str, tuple[float, int]]
    right: NDArray[np.float64]
    coverage: float


def odd_one_out(
    vectors: Rows, triplets: NDArray[np.int64], odd: NDArray[np.int64], kinds: Sequence[str]
) -> OddOneOutScore:
    """Take the nearest two (cosine) of each three for the alike ones; the third is the odd one.

    That asks for d(alike, alike) below both distances to the odd face, as arXiv:1811.11283, section 5, does. Pairs of
    equal cosine share the answer.

    Args:
        vectors: (N, D) of any length.
        triplets: (T, 3) rows of ``vectors``.
        odd: (T,) 0, 1 or 2: which of the three people call the odd one.
        kinds: T names, such as ONE_CLASS_TRIPLET, TWO_CLASS_TRIPLET and THREE_CLASS_TRIPLET.

    Raises:
        InputError: lengths differ, there is no triplet, or a row or an odd one does not exist.
    """
    _check(len(vectors), triplets, odd, kinds)
    has_vectors, units = has_embedding(vectors)[triplets].all(axis=1), unit_rows(vectors)
    # Pair j is the one that leaves out face j.
    pairs = ((1, 2), (0, 2), (0, 1))
    cosines = np.stack([(units[triplets[:, a]] * units[triplets[:, b]]).sum(axis=1) for a, b in pairs], axis=1)
    # With a faceless row the largest cosine is NaN, which no pair equals.
    nearest = cosines == cosines.max(axis=1, keepdims=True)
    right = nearest[np.arange(len(odd)), odd] / np.maximum(nearest.sum(axis=1), 1)
    names = np.asarray(kinds)
    by_kind = {str(kind): (float(right[names == kind].mean()), int((names == kind).sum())) for kind in np.unique(names)}
    return OddOneOutScore(float(right.mean()), by_kind, right, float(has_vectors.mean()))


def _check(rows: int, triplets: NDArray[np.int64], odd: NDArray[np.int64], kinds: Sequence[str]) -> None:
    if triplets.ndim != 2 or triplets.shape[1] != 3 or not len(triplets) == len(odd) == len(kinds) or not len(odd):
        raise InputError(
            f"triplets of shape {triplets.shape}, {len(odd)} odd ones and {len(kinds)} kinds do not match; "
            "give three rows, an odd one and a kind for each of one triplet or more"
        )
    if triplets.min() < 0 or triplets.max() >= rows:
        raise InputError(f"triplets name rows {triplets.min()} to {triplets.max()} of {rows} vectors; count from 0")
    if odd.min() < 0 or odd.max() > 2:
        raise InputError(f"odd ones from {odd.min()} to {odd.max()} were given; choose 0, 1 or 2")
