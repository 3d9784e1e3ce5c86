"""What a linear classifier learns from a few labels."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.evaluation.classification import Classification, classification_of
from ferkit.evaluation.linear import STRENGTHS, linear_answers
from ferkit.evaluation.rows import Answers, Rows, check_parts

SHARES = (0.01, 0.05, 0.10, 0.25, 1.0)
"""Shares of the training labels; ferkit defaults."""

_LEAST = 2
"""Rows of each class, where it has them: one to learn from and one to choose the regularisation by."""


@dataclass(frozen=True, slots=True)
class FewLabelPoint:
    """One point of the curve."""

    share: float  # of the labels of train that was asked for, in (0, 1]
    rows: int  # how many labels that were
    results: tuple[Classification, ...]  # one for each seed, each with other rows
    # (M,) answers of each seed
    predicted: tuple[Answers, ...] = field(default=(), repr=False, compare=False, metadata={"in_memory": True})

    @property
    def accuracy(self) -> float:
        """Mean accuracy over the seeds."""
        return float(np.mean([result.accuracy for result in self.results]))


def few_label_curve(
    train: Rows,
    train_labels: Sequence[str],
    test: Rows,
    test_labels: Sequence[str],
    *,
    train_identities: Sequence[str | None] | None = None,
    shares: Sequence[float] = SHARES,
    strengths: Sequence[float] = STRENGTHS,
    seeds: Sequence[int] = (0, 1, 2),
) -> list[FewLabelPoint]:
    """Fit `linear_answers` on growing shares of the training labels; all of its choices are made within them.

    Args:
        train: (N, D) features.
        train_labels: N labels.
        test: (M, D) features.
        test_labels: M labels; one that the share does not hold is a wrong answer.
        train_identities: N people, or None where they are not known.
        shares: in (0, 1], as `few_label_rows` takes them.
        strengths: inverse regularisations to choose from.
        seeds: one result for each.

    Raises:
        InputError: as `linear_answers` and `few_label_rows`.
    """
    check_parts(train, train_labels, test, test_labels)

    def result(rows: NDArray[np.int64], seed: int) -> tuple[Classification, Answers]:
        labels = [train_labels[row] for row in rows.tolist()]
        people = None if train_identities is None else [train_identities[row] for row in rows.tolist()]
        answers = linear_answers(train[rows], labels, test, train_identities=people, strengths=strengths, seed=seed)
        return classification_of(test_labels, answers.predicted, known=set(labels)), answers.predicted

    curve = []
    for share in shares:
        subsets = [few_label_rows(train_labels, share, seed=seed) for seed in seeds]
        results, answers = zip(*(result(rows, seed) for rows, seed in zip(subsets, seeds, strict=True)), strict=True)
        curve.append(FewLabelPoint(share, len(subsets[0]), results, answers))
    return curve


def few_label_rows(labels: Sequence[str], share: float, *, seed: int = 0) -> NDArray[np.int64]:
    """Draw a share of each class, two rows at least where it has them.

    Args:
        labels: of N rows.
        share: in (0, 1].
        seed: of the draw; with one seed, the rows of a smaller share are among those of a larger.

    Returns:
        Sorted row numbers.

    Raises:
        InputError: the share is not in (0, 1].
    """
    if not 0 < share <= 1:
        raise InputError(f"a share of {share} of the labels was asked for; choose one above 0 and up to 1")
    names, random = np.asarray(labels), np.random.default_rng(seed)
    shuffled = [random.permutation(np.flatnonzero(names == name)) for name in np.unique(names)]
    return np.sort(np.concatenate([rows[: max(_LEAST, round(share * len(rows)))] for rows in shuffled]))
