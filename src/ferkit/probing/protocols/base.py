"""What all protocols share: the contract, the fit of every fold, metrics with their intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.evaluation.classification import FIGURES, classification_figure, classification_of
from ferkit.evaluation.intervals import Statistic, bootstrap_interval
from ferkit.evaluation.linear import LinearModel
from ferkit.evaluation.rows import Answers
from ferkit.evaluation.triplets import TripletScore
from ferkit.probing.folds import Fold, ProbeRows, Split
from ferkit.probing.plan import ProbePlan
from ferkit.probing.probed_encoders import ProbedEncoder
from ferkit.probing.report import ClassifierSection, MetricValue, Section
from ferkit.progress import Progress

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Task:
    """One encoder under one plan.

    ``leaks`` is what baselines leak, by their keys: measured once for all encoders.
    """

    plan: ProbePlan
    subject: ProbedEncoder
    device: str | None
    progress: Progress
    leaks: dict[str, tuple[MetricValue, ...]]


class Protocol(NamedTuple):
    """A protocol of a probe."""

    title: str  # what a report calls it
    check: Callable[[ProbePlan], object]  # raises an InputError where the data do not permit it
    run: Callable[[Task], Section]  # gives the section of one encoder


@dataclass(frozen=True, eq=False)
class FoldResult:
    """What one fit answers, what was chosen for it, and its linear classifier if it is one."""

    predicted: Answers
    chosen: Mapping[str, Any] | None = None
    model: LinearModel | None = None


Fit = Callable[[Fold, int], FoldResult]
"""Learns from the training rows of a fold and answers its test rows, with a seed."""


def classifier_section(
    protocol: str, train_rows: ProbeRows, test_rows: ProbeRows, split: Split, fit: Fit
) -> ClassifierSection:
    """Fit every fold and count all answers, those of all seeds together."""
    fitted = _fit_folds(split, fit)
    rows = test_rows.at(split.test)
    seeds = len(split.seeds)
    learnt = {str(train_rows.labels[row]) for folds in split.folds for fold in folds for row in fold.train.tolist()}
    true, predicted = rows.true_labels * seeds, np.concatenate([answers for answers, _ in fitted])
    last = fitted[-1][1][-1]
    return ClassifierSection(
        protocol=with_split(protocol, split),
        figures=_class_figures(true, predicted, rows.people, seeds, split.seeds[0]),
        result=classification_of(true, predicted, known=learnt),
        chosen=tuple(each.chosen for _, folds in fitted for each in folds if each.chosen is not None),
        true=tuple(true),
        predicted=tuple(predicted.tolist()),
        model=last.model,
    )


def _fit_folds(split: Split, fit: Fit) -> list[tuple[Answers, list[FoldResult]]]:
    """Return of each seed the (M,) answers and what was fitted."""
    results = []
    for seed, folds in zip(split.seeds, split.folds, strict=True):
        answers, fits = np.full(len(split.test), None, object), [fit(fold, seed) for fold in folds]
        for fold, each in zip(folds, fits, strict=True):
            answers[fold.test] = each.predicted
        results.append((answers, fits))
    return results


def _class_figures(
    true: list[str], predicted: Answers, people: Sequence[str], seeds: int, seed: int
) -> tuple[MetricValue, ...]:
    shares = np.unique(true, return_counts=True)[1] / len(true)
    chances = {"accuracy": float(shares.max()), "balanced_accuracy": 1 / len(shares)}
    parts = np.split(np.arange(len(true)), seeds)
    figures = []
    for name in FIGURES:
        statistic = classification_figure(name, true, predicted)
        by_seed = tuple(statistic(part) for part in parts) if seeds > 1 else ()
        chance = chances.get(name)
        figures.append(metric(name, statistic, tuple(people) * seeds, seed, chance=chance, by_seed=by_seed))
    return tuple(figures)


def metric(
    name: str,
    statistic: Statistic,
    people: Sequence[str | None],
    seed: int,
    *,
    chance: float | None = None,
    by_seed: tuple[float, ...] = (),
) -> MetricValue:
    """A figure with its interval; without one where there is nobody to draw from or the rows do not define it."""
    people = tuple(people)
    value = statistic(np.arange(len(people)))
    try:
        interval = bootstrap_interval(statistic, people, seed=seed)
    except InputError:
        return MetricValue(name, value, None, len(set(people)), chance, by_seed, statistic, people)
    return MetricValue(name, value, (interval.low, interval.high), interval.groups, chance, by_seed, statistic, people)


def triplet_metric(name: str, score: TripletScore, *, by_person: bool) -> MetricValue:
    """Give a share of triplets with its interval over people; chance is one half."""
    value = score.by_person if by_person else score.accuracy
    statistic = score.statistic(by_person=by_person)
    return MetricValue(name, value, score.intervals[by_person], len(score.people), 0.5, (), statistic, score.people)


def mean_of(values: NDArray[np.float64]) -> Statistic:
    """Give the mean of (N,) values as a statistic of rows."""
    return lambda rows: float(values[rows].mean())


def people_to_keep_together(people: Sequence[str]) -> Sequence[str] | None:
    """The people, where somebody has two rows: else nothing needs to be kept together."""
    return people if len(set(people)) < len(people) else None


def first_seed(split: Split) -> Split:
    """The split of the first seed alone, where several would say little more."""
    return replace(split, seeds=split.seeds[:1], folds=split.folds[:1])


def with_split(protocol: str, split: Split) -> str:
    """Say how train and test were told apart, behind what the protocol does."""
    return f"{protocol}; {split.words}" if len(split.seeds) == 1 else f"{protocol}; {split.words}; seeds {split.seeds}"
