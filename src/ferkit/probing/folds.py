"""Which rows a classifier learns from, and which it is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ferkit.evaluation.rows import Rows
from ferkit.evaluation.splits import identity_folds, identity_split

_HELD_OUT = 5
"""One person in so many is asked where the others teach."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ProbeRows:
    """N faces, what is known of them, and what one encoder makes of them."""

    features: Rows  # (N, D) raw features, for classifiers; a faceless row is not finite
    vectors: Rows  # (N, D) of length 1, for cosines; likewise
    labels: Sequence[str | None]  # N expressions, or None
    identities: Sequence[str | None]  # N people, or None where nobody said
    # N names of what stays together and is drawn anew: the identity, else the clip, else the picture
    people: Sequence[str]
    clips: Sequence[str | None]  # N clips, or None
    affect: NDArray[np.float64]  # (N, 2) valence and arousal, NaN where nobody said

    def __len__(self) -> int:
        return len(self.features)

    def at(self, rows: Numbers) -> ProbeRows:
        """Return some rows, in that order."""
        texts = (self.labels, self.identities, self.people, self.clips)
        lists = ([each[row] for row in rows.tolist()] for each in texts)
        labels, identities, people, clips = lists
        return ProbeRows(self.features[rows], self.vectors[rows], labels, identities, people, clips, self.affect[rows])

    @property
    def true_labels(self) -> list[str]:
        """The labels of rows that all have one."""
        return [str(label) for label in self.labels]


@dataclass(frozen=True, eq=False)
class Fold:
    """One fit: (n,) rows of the data that it learns from, and which of a split's test rows it answers."""

    train: Numbers
    test: Numbers


@dataclass(frozen=True, eq=False)
class Split:
    """How training and test rows are told apart; every test row is answered once for each seed."""

    test: Numbers  # (M,) rows of the test faces
    seeds: tuple[int, ...]  # of the fits
    folds: tuple[tuple[Fold, ...], ...]  # those of each seed
    words: str  # the same for people


def fixed_split(train: Numbers, test: Numbers, seeds: Sequence[int]) -> Split:
    """Learn from rows of one set, and answer rows of another."""
    fold = Fold(train, np.arange(len(test)))
    return Split(test, tuple(seeds), ((fold,),) * len(seeds), "train and test as given")


def cross_validation_split(
    rows: Numbers, labels: Sequence[str], people: Sequence[str], seeds: Sequence[int], folds: int, *, named: bool = True
) -> Split:
    """Split the rows of one set, so that nobody is on both sides.

    Args:
        rows: (n,) that may be used.
        labels: of these n, of which each side has its share.
        people: of these n.
        seeds: of the fits, and of the folds where there are several.
        folds: 1 tests a fifth, the same for all seeds; more test each fold in turn.
        named: whether ``people`` are people, for the words alone.

    Raises:
        InputError: there are fewer people than folds.
    """
    whose = "nobody is" if named else "no picture is"
    if folds == 1:
        held_out = identity_split(labels, people, held_out=max(2, min(_HELD_OUT, len(set(people)))), seed=seeds[0])
        fold = Fold(rows[~held_out], np.arange(int(held_out.sum())))
        words = f"one fifth asked, the rest known; {whose} on both sides"
        return Split(rows[held_out], tuple(seeds), ((fold,),) * len(seeds), words)
    numbers = [identity_folds(labels, people, folds=folds, seed=seed) for seed in seeds]
    by_seed = tuple(
        tuple(Fold(rows[fold != number], np.flatnonzero(fold == number)) for number in range(folds)) for fold in numbers
    )
    return Split(rows, tuple(seeds), by_seed, f"{folds}-fold cross-validation; {whose} on both sides")
