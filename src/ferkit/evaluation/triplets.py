"""Is another person's same expression nearer than the same person's other one? Which of three is the odd one?"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.evaluation.intervals import Statistic
from ferkit.evaluation.rows import Rows, has_embedding, unit_rows

_RESAMPLES = 2000

# Equal vectors must tie, although products of different block shapes differ in the last bits.
_DIGITS = 12

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class TripletScore:
    """How often expression beats identity: 1 for vectors of expression alone, 0 for identity alone, 0.5 by chance.

    The intervals are of a bootstrap over people, who come or stay away as anchors and as positives alike: drawing the
    anchors alone would take the positives for fixed and claim too much.
    """

    people: tuple[str, ...]  # P names, sorted
    anchors: NDArray[np.intp]  # (A,) numbers of the people who give anchors
    wins: Floats  # (A, P) right triplets of each anchor's person and each positive's; a tie counts half
    counts: Floats  # (A, P) how many there are
    seed: int = 0  # of the bootstrap

    @property
    def triplets(self) -> int:
        """How many were compared, both directions together."""
        return int(self.counts.sum())

    @property
    def accuracy(self) -> float:
        """Share of triplets that are right; people with many pictures weigh more."""
        return self.statistic(by_person=False)(np.arange(len(self.people)))

    @property
    def by_person(self) -> float:
        """Mean of the anchor people's own shares; everyone weighs the same."""
        return self.statistic(by_person=True)(np.arange(len(self.people)))

    @cached_property
    def intervals(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """The 95 % intervals of both, from the same resamples."""
        count = len(self.people)
        # How often each person is drawn in each resample: (resamples, people).
        resamples = np.random.default_rng(self.seed).multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)
        low, high = np.percentile(self._accuracies(resamples), (2.5, 97.5), axis=1).tolist()
        return (low[0], high[0]), (low[1], high[1])

    def statistic(self, *, by_person: bool) -> Statistic:
        """Return one of both as a function of people, given by their numbers with repeats; NaN without a triplet."""

        def value(people: NDArray[np.int64]) -> float:
            accuracy = self._accuracies(np.bincount(people, minlength=len(self.people))[None])[by_person]
            return float(accuracy[0]) if len(accuracy) else float("nan")

        return value

    def _accuracies(self, times_drawn: NDArray[Any]) -> tuple[Floats, Floats]:
        """Return both for (R, P) multiplicities of people; resamples without a triplet drop out."""
        right, total = times_drawn @ self.wins.T, times_drawn @ self.counts.T
        times = np.where(total > 0, times_drawn[:, self.anchors], 0)
        some = times.any(axis=1)
        right, total, times = right[some], total[some], times[some]
        shares = right / np.where(total > 0, total, 1)
        over_all = (times * right).sum(axis=1) / (times * total).sum(axis=1)
        return over_all, (times * shares).sum(axis=1) / times.sum(axis=1)


def triplet_score(
    vectors: Rows, labels: Sequence[str | None], identities: Sequence[str | None], *, seed: int = 0
) -> TripletScore | None:
    """Compare all triplets of all labels: anchor and positive of one label, the negative of any other, by cosine.

    The anchor and the negative show one person, the positive somebody else; a tie counts half. Anchor by anchor it is
    the area under the ROC curve of "same expression, other person" against "other expression, same person". It needs no
    threshold or classifier, no monotone function of the cosine changes it, so that encoders can be compared, and its
    level of chance does not hang on how many people or classes there are. All triplets are counted, by rank, at the
    cost of one product of anchors and positives.

    Args:
        vectors: (N, D) of any length; faceless rows are not used.
        labels: N expressions; rows of None are not used.
        identities: N people; rows of None are not used.
        seed: of the bootstrap.

    Returns:
        The score; None where the rows hold no triplet.

    Raises:
        InputError: lengths differ.
    """
    if not len(vectors) == len(labels) == len(identities):
        raise InputError(f"{len(vectors)} vectors, {len(labels)} labels and {len(identities)} identities do not match")
    usable = has_embedding(vectors)
    rows = [row for row in np.flatnonzero(usable).tolist() if labels[row] is not None and identities[row] is not None]
    units = unit_rows(np.asarray(vectors[rows], dtype=np.float64))
    people, who = np.unique([str(identities[row]) for row in rows], return_inverse=True)
    _, what = np.unique([str(labels[row]) for row in rows], return_inverse=True)
    looks = np.unique(np.stack([who, what], axis=1), axis=0)[:, 0]
    anchors = np.flatnonzero(np.bincount(looks, minlength=len(people)) > 1)
    if not len(anchors):
        return None
    wins, counts = _count_triplets(units, who, what, anchors)
    return TripletScore(tuple(people.tolist()), anchors, wins, counts, seed) if counts.any() else None


def _count_triplets(
    units: Floats, who: NDArray[np.intp], what: NDArray[np.intp], anchors: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Return how many triplets are right (ties count half) and how many there are, both (anchor people, people)."""
    people = int(who.max()) + 1
    wins, counts = np.zeros((len(anchors), people)), np.zeros((len(anchors), people))
    for row, person in enumerate(anchors):
        own = who == person
        for look in np.unique(what[own]):
            same = what == look
            positive, mine, other = same & ~own, same & own, ~same & own
            right = _right(units[mine], units[positive], units[other])
            wins[row] += np.bincount(who[positive], weights=right, minlength=people)
            counts[row] += np.bincount(who[positive], minlength=people) * int(mine.sum() * other.sum())
    return wins, counts


def _right(anchors: Floats, positives: Floats, negatives: Floats) -> Floats:
    """Count for each positive the pairs of anchor and negative that it is right with; a tie counts half."""
    to_positives = np.round(anchors @ positives.T, _DIGITS)
    to_negatives = np.sort(np.round(anchors @ negatives.T, _DIGITS), axis=1)
    right = np.zeros(len(positives))
    for near, far in zip(to_positives, to_negatives, strict=True):
        right += (np.searchsorted(far, near, "left") + np.searchsorted(far, near, "right")) / 2
    return right


def odd_one_out(
    vectors: Rows, triplets: NDArray[np.int64], odd: NDArray[np.int64]
) -> tuple[NDArray[np.float64], float]:
    """Take the nearest two (cosine) of each three for the alike ones; the third is the odd one.

    That asks for d(alike, alike) below both distances to the odd face, as the facial expression comparison data set
    does (arXiv:1811.11283, section 5). Pairs of equal cosine share the answer; chance is 1/3.

    Args:
        vectors: (N, D) of any length.
        triplets: (T, 3) rows of ``vectors``, T at least 1.
        odd: (T,) 0, 1 or 2: which of the three people call the odd one.

    Returns:
        (T,) 1 where it is found, 0, or between where several pairs are equally near; and the share of triplets whose
        three faces have a vector, of which the others count as wrong.
    """
    has_vectors, units = has_embedding(vectors)[triplets].all(axis=1), unit_rows(vectors)
    # Pair j is the one that leaves out face j.
    pairs = ((1, 2), (0, 2), (0, 1))
    cosines = np.stack([(units[triplets[:, a]] * units[triplets[:, b]]).sum(axis=1) for a, b in pairs], axis=1)
    # With a faceless row the largest cosine is NaN, which no pair equals.
    nearest = cosines == cosines.max(axis=1, keepdims=True)
    right = nearest[np.arange(len(odd)), odd] / np.maximum(nearest.sum(axis=1), 1)
    return right, float(has_vectors.mean())
