"""Is another person's same expression nearer than the same person's other one? Which of three is the odd one?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.evaluation.rows import Rows, has_embedding, unit_rows

_RESAMPLES = 2000

# Equal vectors must tie, although products of different block shapes differ in the last bits.
_DIGITS = 12

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class TripletScore:
    """How often expression beats identity: 1 for vectors of expression alone, 0 for identity alone, 0.5 by chance.

    The intervals are of a bootstrap over people, who come or stay away as anchors and as positives alike: drawing the
    anchors alone would take the positives for fixed and claim too much.
    """

    accuracy: float  # share of triplets that are right; people with many pictures weigh more
    interval: tuple[float, float]  # its 95 % interval
    by_person: float  # mean of the anchor people's own shares; everyone weighs the same
    by_person_interval: tuple[float, float]  # its 95 % interval, from the same resamples
    triplets: int  # how many were compared, both directions together
    people: int  # how many identities gave anchors


@dataclass(frozen=True, slots=True, eq=False)
class TripletTally:
    """Which triplets are right, by the people who take part; everything that `TripletScore` is made of."""

    people: tuple[str, ...]  # P names, sorted
    anchors: NDArray[np.intp]  # (A,) numbers of the people who give anchors
    wins: Floats  # (A, P) right triplets of each anchor's person and each positive's; a tie counts half
    counts: Floats  # (A, P) how many there are

    def accuracies(self, times_drawn: NDArray[Any]) -> tuple[Floats, Floats]:
        """Return both accuracies for (R, P) multiplicities of people; resamples without a triplet drop out."""
        right, total = times_drawn @ self.wins.T, times_drawn @ self.counts.T
        times = np.where(total > 0, times_drawn[:, self.anchors], 0)
        some = times.any(axis=1)
        right, total, times = right[some], total[some], times[some]
        shares = right / np.where(total > 0, total, 1)
        over_all = (times * right).sum(axis=1) / (times * total).sum(axis=1)
        return over_all, (times * shares).sum(axis=1) / times.sum(axis=1)

    def statistic(self, *, by_person: bool) -> Callable[[NDArray[np.int64]], float]:
        """Return one of both as a function of people, given by their numbers with repeats; NaN without a triplet."""

        def value(people: NDArray[np.int64]) -> float:
            accuracy = self.accuracies(np.bincount(people, minlength=len(self.people))[None])[by_person]
            return float(accuracy[0]) if len(accuracy) else float("nan")

        return value

    def score(self, seed: int = 0) -> TripletScore:
        """Return both accuracies with their intervals."""
        count = len(self.people)
        # How often each person is drawn in each resample: (resamples, people).
        resamples = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)
        over_all, by_person = self.accuracies(np.ones((1, count)))
        interval, by_person_interval = map(
            tuple, np.percentile(self.accuracies(resamples), (2.5, 97.5), axis=1).T.tolist()
        )
        return TripletScore(
            accuracy=float(over_all[0]),
            interval=interval,
            by_person=float(by_person[0]),
            by_person_interval=by_person_interval,
            triplets=int(self.counts.sum()),
            people=len(self.anchors),
        )


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
    tally = triplet_tally(vectors, labels, identities)
    return None if tally is None else tally.score(seed)


def triplet_tally(vectors: Rows, labels: Sequence[str | None], identities: Sequence[str | None]) -> TripletTally | None:
    """Count the triplets of `triplet_score`, with its arguments and errors; None where the rows hold none."""
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
    return TripletTally(tuple(people.tolist()), anchors, wins, counts) if counts.any() else None


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


@dataclass(frozen=True, slots=True, eq=False)
class OddOneOutScore:
    """Triplet accuracy of the facial expression comparison data set (arXiv:1811.11283); by chance 1/3."""

    accuracy: float  # share of triplets whose odd face is found
    by_kind: dict[str, tuple[float, int]]  # the same for the triplets of each kind, and how many they are
    right: NDArray[np.float64]  # (T,) of each triplet: 1, 0, or between where several pairs are equally near
    coverage: float  # share of triplets whose three faces have a vector; the others count as wrong


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
    _check_triplets(len(vectors), triplets, odd, kinds)
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


def _check_triplets(rows: int, triplets: NDArray[np.int64], odd: NDArray[np.int64], kinds: Sequence[str]) -> None:
    if triplets.ndim != 2 or triplets.shape[1] != 3 or not len(triplets) == len(odd) == len(kinds) or not len(odd):
        raise InputError(
            f"triplets of shape {triplets.shape}, {len(odd)} odd ones and {len(kinds)} kinds do not match; "
            "give three rows, an odd one and a kind for each of one triplet or more"
        )
    if triplets.min() < 0 or triplets.max() >= rows:
        raise InputError(f"triplets name rows {triplets.min()} to {triplets.max()} of {rows} vectors; count from 0")
    if odd.min() < 0 or odd.max() > 2:
        raise InputError(f"odd ones from {odd.min()} to {odd.max()} were given; choose 0, 1 or 2")
