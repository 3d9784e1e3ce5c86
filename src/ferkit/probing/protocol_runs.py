"""Each protocol of a probe, from the rows of one encoder to its section of the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.evaluation.affect import DIMENSIONS, affect_answers, concordance, rmse
from ferkit.evaluation.classification import FIGURES, classification_figure, classification_of
from ferkit.evaluation.fec_accuracy import odd_one_out
from ferkit.evaluation.few_labels import SHARES, few_label_curve
from ferkit.evaluation.intervals import Statistic, bootstrap_interval
from ferkit.evaluation.knn import knn_answers
from ferkit.evaluation.leakage import Leak, linear_leak, neighbour_leak
from ferkit.evaluation.linear import LinearModel, linear_answers
from ferkit.evaluation.retrieval import retrieval_score
from ferkit.evaluation.rows import Answers, Rows, has_embedding
from ferkit.evaluation.sgd import SgdSchedule, sgd_answers
from ferkit.evaluation.triplets import triplet_tally
from ferkit.probing.folds import ProbeRows, Split, Trial
from ferkit.probing.report import (
    AffectSection,
    ClassifierSection,
    FewLabelSection,
    Figure,
    LeakageSection,
    RetrievalSection,
    TripletSection,
)

__all__ = [
    "Fit",
    "Fitted",
    "affect_section",
    "classifier_section",
    "comparison_section",
    "few_label_section",
    "knn_section",
    "leakage_figures",
    "leakage_section",
    "linear_section",
    "retrieval_section",
    "triplet_section",
]

_TEMPERATURE = 0.07
"""Of weighted votes, as in arXiv:1805.01978."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Fitted:
    """What one fit answers, what was chosen for it, and its linear classifier if it is one."""

    predicted: Answers
    chosen: Mapping[str, Any] | None = None
    model: LinearModel | None = None


Fit = Callable[[Trial, int], Fitted]
"""Learns from the known rows of a trial and judges its asked ones, with a seed."""


def linear_section(
    known: ProbeRows, asked: ProbeRows, split: Split, schedule: SgdSchedule | None = None
) -> ClassifierSection:
    """Read expressions by a linear classifier: L-BFGS, or with a ``schedule`` as the papers do."""

    def fit(trial: Trial, seed: int) -> Fitted:
        train, test = known.at(trial.known), asked.at(split.asked[trial.judged])
        if schedule is not None:
            return Fitted(sgd_answers(train.features, train.true_labels, test.features, schedule=schedule, seed=seed))
        people = _where_shared(train.people)
        found = linear_answers(train.features, train.true_labels, test.features, train_identities=people, seed=seed)
        chosen = {"strength": found.strength, "held_out_accuracy": found.held_out[found.strength]}
        return Fitted(found.predicted, chosen, found.model)

    how = "L-BFGS on standardised features, strength chosen on a fifth of train"
    if schedule is not None:
        how = f"SGD, {schedule.epochs} epochs, lr {schedule.lr:g}, last epoch"
    return classifier_section(f"linear probe ({how})", known, asked, split, fit)


def classifier_section(protocol: str, known: ProbeRows, asked: ProbeRows, split: Split, fit: Fit) -> ClassifierSection:
    """Fit every trial and count all answers, those of all seeds together."""
    fitted = _fitted(split, fit)
    rows = asked.at(split.asked)
    seeds, learnt = len(split.seeds), _known_labels(known, split)
    true, predicted = rows.true_labels * seeds, np.concatenate([answers for answers, _ in fitted])
    last = fitted[-1][1][-1]
    return ClassifierSection(
        protocol=_with_split(protocol, split),
        figures=_class_figures(true, predicted, rows.people, seeds, split.seeds[0]),
        result=classification_of(true, predicted, known=learnt),
        chosen=tuple(each.chosen for _, trials in fitted for each in trials if each.chosen is not None),
        true=tuple(true),
        predicted=tuple(predicted.tolist()),
        model=last.model,
    )


def knn_section(known: ProbeRows, asked: ProbeRows, split: Split, neighbours: int = 20) -> ClassifierSection:
    """Ask the nearest known faces; also with votes that weigh by nearness.

    Where fewer faces are known than ``neighbours``, all of them are asked.
    """
    fewest = min(int(has_embedding(known.vectors[trial.known]).sum()) for trials in split.trials for trial in trials)
    k = max(1, min(neighbours, fewest))

    def fit_with(temperature: float | None) -> Fit:
        def fit(trial: Trial, _seed: int) -> Fitted:
            train, test = known.at(trial.known), asked.at(split.asked[trial.judged])
            return Fitted(knn_answers(train.vectors, train.true_labels, test.vectors, k=k, temperature=temperature))

        return fit

    plain = classifier_section(f"kNN (cosine, k = {k})", known, asked, split, fit_with(None))
    weighted = classifier_section("", known, asked, split, fit_with(_TEMPERATURE))
    more = tuple(replace(figure, name=f"weighted.{figure.name}") for figure in weighted.figures)
    protocol = f"kNN (cosine, k = {k}; weighted: votes by exp(cosine / {_TEMPERATURE:g}))"
    return ClassifierSection(
        _with_split(protocol, split), plain.figures + more, plain.result, (), plain.true, plain.predicted
    )


def few_label_section(
    known: ProbeRows, asked: ProbeRows, split: Split, shares: Sequence[float] = SHARES, draws: int = 3
) -> FewLabelSection:
    """Fit linear classifiers on growing shares of the labels; of several folds the first is asked."""
    trial, seeds = split.trials[0][0], range(split.seeds[0], split.seeds[0] + draws)
    train, test = known.at(trial.known), asked.at(split.asked[trial.judged])
    points = few_label_curve(
        train.features,
        train.true_labels,
        test.features,
        test.true_labels,
        train_identities=_where_shared(train.people),
        shares=shares,
        seeds=seeds,
    )
    true, people = test.true_labels * draws, tuple(test.people) * draws
    figures = []
    for point in points:
        statistic = classification_figure("accuracy", true, np.concatenate(point.predicted))
        by_seed = tuple(result.accuracy for result in point.results)
        figures.append(_figure(f"{point.share:.0%}", statistic, people, split.seeds[0], by_seed=by_seed))
    first = "; the first fold" if len(split.trials[0]) > 1 else ""
    protocol = f"linear probe (L-BFGS) on a share of the labels, accuracy, mean of {draws} draws{first}"
    return FewLabelSection(_with_split(protocol, split), tuple(figures), tuple(points))


def affect_section(known: ProbeRows, asked: ProbeRows, split: Split) -> AffectSection:
    """Read valence and arousal by ridge regression; of several seeds the first is asked."""
    split = replace(split, seeds=split.seeds[:1], trials=split.trials[:1])
    rows, seed = asked.at(split.asked), split.seeds[0]
    predicted, chosen = np.empty((len(rows), len(DIMENSIONS))), []
    for trial in split.trials[0]:
        train, test = known.at(trial.known), rows.at(trial.judged)
        people = _where_shared(train.people)
        found = affect_answers(train.features, train.affect, test.features, train_identities=people, seed=seed)
        predicted[trial.judged] = found.predicted
        chosen.append({"alpha": found.alpha})
    figures = []
    for number, name in enumerate(DIMENSIONS):
        for figure, function in (("ccc", concordance), ("rmse", rmse)):
            statistic = _of_columns(function, rows.affect[:, number], predicted[:, number])
            figures.append(_figure(f"{name}.{figure}", statistic, rows.people, seed))
    protocol = _with_split("ridge regression on standardised features, penalty chosen on a fifth of train", split)
    return AffectSection(protocol, tuple(figures), tuple(chosen), rows.affect, predicted)


def retrieval_section(asked: ProbeRows, *, k: int = 10, seed: int = 0) -> RetrievalSection:
    """Ask with every labelled face for faces of other people that show the same."""
    found = retrieval_score(asked.vectors, asked.true_labels, asked.people, k=k, seed=seed)
    labels = np.array(asked.true_labels)
    figures = tuple(
        _figure(name, _mean_over_classes(values, labels), asked.people, seed, chance=1 / len(found.by_class))
        for name, values in (
            ("precision", found.precisions),
            ("mean_average_precision", found.average_precisions),
        )
    )
    protocol = (
        f"retrieval (cosine, own person excluded): precision at {found.k} and mAP, mean over classes;"
        f" {found.repeats} galleries of {found.per_class} faces a class"
    )
    return RetrievalSection(protocol, figures, found.by_class)


def triplet_section(asked: ProbeRows, *, pair: tuple[str, str] | None = None, seed: int = 0) -> TripletSection:
    """Ask whether the same expression on another person is nearer than another one on the same person.

    Raises:
        InputError: no two faces of one person show different expressions one of which another person shows.
    """
    labels = [label if pair is None or label in pair else None for label in asked.labels]
    tally = triplet_tally(asked.vectors, labels, asked.identities)
    if tally is None:
        which = "two expressions" if pair is None else f"both {pair[0]!r} and {pair[1]!r}"
        raise InputError(f"no triplet to compare: needs a person with {which}, and another person with one of them")
    score = tally.score(seed)
    figures = (
        _triplet_figure("accuracy", score.accuracy, score.interval, tally.people, tally.statistic(by_person=False)),
        _triplet_figure(
            "by_person", score.by_person, score.by_person_interval, tally.people, tally.statistic(by_person=True)
        ),
    )
    which = "all labels" if pair is None else f"{pair[0]} against {pair[1]}"
    protocol = f"cross-identity triplets (cosine), {which}; {score.triplets:,} triplets, {score.people} people"
    return TripletSection(protocol, figures, score.triplets)


def comparison_section(
    vectors: Rows, triplets: Numbers, odd: Numbers, kinds: Sequence[str], *, seed: int = 0
) -> TripletSection:
    """Find the odd one of three as people do: all triplets, and those of each kind, drawn anew one by one.

    Arguments and errors as `odd_one_out`.
    """
    score, names = odd_one_out(vectors, triplets, odd, kinds), np.asarray(kinds)
    groups = {"fec.accuracy": np.ones(len(odd), bool)}
    groups |= {f"fec.{kind}": names == kind for kind in score.by_kind}
    figures = (
        _figure(name, _mean_of(score.right[rows]), [None] * int(rows.sum()), seed, chance=1 / 3)
        for name, rows in groups.items()
    )
    protocol = f"odd one of three, as people see it (FEC, cosine); {len(odd):,} triplets, {score.coverage:.1%} covered"
    return TripletSection(protocol, tuple(figures), len(odd))


def leakage_section(
    asked: ProbeRows,
    columns: Mapping[str, Sequence[str | None]],
    baselines: Mapping[str, tuple[Figure, ...]],
    *,
    seed: int = 0,
) -> LeakageSection:
    """Ask what the vectors tell of identity and other columns, beside what pixels and random weights tell.

    Args:
        asked: the faces.
        columns: values of each column.
        baselines: `leakage_figures` of others on the same faces.
        seed: of halves and intervals.

    Raises:
        InputError: no column can be asked; says why of the first.
    """
    figures, left_out = leakage_figures(asked, columns, seed)
    if not figures:
        raise InputError(next(iter(left_out.values())))
    protocol = (
        "<column>.nearest: the nearest other face (cosine) has the same value, of identity not of the same clip, else"
        " of another person; <column>.linear: a linear classifier fitted on one half tells the other half's value, of"
        " up to 100 values with 4 faces; expression_over_identity: the same expression on another person is nearer than"
        " another on the same person, mean over people"
    )
    return LeakageSection(protocol, figures, baselines, left_out)


def leakage_figures(
    rows: ProbeRows, columns: Mapping[str, Sequence[str | None]], seed: int = 0
) -> tuple[tuple[Figure, ...], dict[str, str]]:
    """Return the figures of one encoder, of each column both and the one number, and why some are left out."""
    figures: list[Figure] = []
    left_out: dict[str, str] = {}
    for name, values in columns.items():
        groups = rows.clips if name == "identity" else rows.people
        for how, ask in (("nearest", neighbour_leak), ("linear", linear_leak)):
            try:
                leak = ask(rows.vectors, values, rows.people, groups=groups, seed=seed)
            except InputError as error:
                left_out[f"{name}.{how}"] = str(error)
            else:
                figures.append(_leak_figure(f"{name}.{how}", leak, rows.people))
    tally = triplet_tally(rows.vectors, rows.labels, rows.identities)
    if tally is not None:
        score = tally.score(seed)
        statistic = tally.statistic(by_person=True)
        ends = score.by_person_interval
        figures.append(_triplet_figure("expression_over_identity", score.by_person, ends, tally.people, statistic))
    return tuple(figures), left_out


def _fitted(split: Split, fit: Fit) -> list[tuple[Answers, list[Fitted]]]:
    """Return of each seed the (M,) answers and what was fitted."""
    found = []
    for seed, trials in zip(split.seeds, split.trials, strict=True):
        answers, fits = np.full(len(split.asked), None, object), [fit(trial, seed) for trial in trials]
        for trial, each in zip(trials, fits, strict=True):
            answers[trial.judged] = each.predicted
        found.append((answers, fits))
    return found


def _known_labels(known: ProbeRows, split: Split) -> set[str]:
    rows = {row for trials in split.trials for trial in trials for row in trial.known.tolist()}
    return {str(known.labels[row]) for row in rows}


def _class_figures(
    true: list[str], predicted: Answers, people: Sequence[str], seeds: int, seed: int
) -> tuple[Figure, ...]:
    shares = np.unique(true, return_counts=True)[1] / len(true)
    chances = {"accuracy": float(shares.max()), "balanced_accuracy": 1 / len(shares)}
    parts = np.split(np.arange(len(true)), seeds)
    figures = []
    for name in FIGURES:
        statistic = classification_figure(name, true, predicted)
        by_seed = tuple(statistic(part) for part in parts) if seeds > 1 else ()
        chance = chances.get(name)
        figures.append(_figure(name, statistic, tuple(people) * seeds, seed, chance=chance, by_seed=by_seed))
    return tuple(figures)


def _figure(
    name: str,
    statistic: Statistic,
    people: Sequence[str | None],
    seed: int,
    *,
    chance: float | None = None,
    by_seed: tuple[float, ...] = (),
) -> Figure:
    """A figure with its interval; without one where there is nobody to draw from or the rows do not define it."""
    people = tuple(people)
    value = statistic(np.arange(len(people)))
    try:
        found = bootstrap_interval(statistic, people, seed=seed)
    except InputError:
        return Figure(name, value, None, len(set(people)), chance, by_seed, statistic, people)
    return Figure(name, value, (found.low, found.high), found.groups, chance, by_seed, statistic, people)


def _triplet_figure(
    name: str, value: float, interval: tuple[float, float], people: tuple[str, ...], statistic: Statistic
) -> Figure:
    return Figure(name, value, interval, len(people), 0.5, (), statistic, people)


def _leak_figure(name: str, leak: Leak, people: Sequence[str]) -> Figure:
    asked = tuple(people[row] for row in leak.rows.tolist())
    return Figure(name, leak.rate, leak.interval, len(set(asked)), leak.chance, (), _mean_of(leak.hits), asked)


def _mean_of(values: NDArray[np.float64]) -> Statistic:
    return lambda rows: float(values[rows].mean())


def _of_columns(function: Callable[[Rows, Rows], NDArray[np.float64]], true: Rows, predicted: Rows) -> Statistic:
    return lambda rows: float(function(true[rows], predicted[rows]))


def _mean_over_classes(values: NDArray[np.float64], labels: NDArray[np.str_]) -> Statistic:
    classes, numbers = np.unique(labels, return_inverse=True)

    def value(rows: Numbers) -> float:
        counts = np.bincount(numbers[rows], minlength=len(classes))
        sums = np.bincount(numbers[rows], weights=values[rows], minlength=len(classes))
        return float((sums[counts > 0] / counts[counts > 0]).mean())

    return value


def _where_shared(people: Sequence[str]) -> Sequence[str] | None:
    """The people, where somebody has two rows: else nothing needs to be kept together."""
    return people if len(set(people)) < len(people) else None


def _with_split(protocol: str, split: Split) -> str:
    return f"{protocol}; {split.words}" if len(split.seeds) == 1 else f"{protocol}; {split.words}; seeds {split.seeds}"
