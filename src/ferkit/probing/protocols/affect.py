"""Valence and arousal: how well they can be read off frozen features."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferkit.evaluation.affect import DIMENSIONS, affect_answers, concordance, correlation, rmse, sign_agreement
from ferkit.evaluation.intervals import Statistic
from ferkit.evaluation.rows import Rows
from ferkit.probing.folds import ProbeRows, Split
from ferkit.probing.protocols.base import Protocol, first_seed, metric, people_to_keep_together, with_split
from ferkit.probing.report import AffectSection


def affect_section(train_rows: ProbeRows, test_rows: ProbeRows, split: Split) -> AffectSection:
    """Read valence and arousal by ridge regression; of several seeds the first is asked."""
    split = first_seed(split)
    rows, seed = test_rows.at(split.test), split.seeds[0]
    predicted, chosen = np.empty((len(rows), len(DIMENSIONS))), []
    for fold in split.folds[0]:
        train, test = train_rows.at(fold.train), rows.at(fold.test)
        people = people_to_keep_together(train.people)
        answers = affect_answers(train.features, train.affect, test.features, train_identities=people, seed=seed)
        predicted[fold.test] = answers.predicted
        chosen.append({"alpha": answers.alpha})
    how = "ridge regression on standardised features, penalty chosen on a fifth of train"
    return affect_report(how, test_rows, split, predicted, tuple(chosen))


_FIGURES = {"ccc": concordance, "pcc": correlation, "sagr": sign_agreement, "rmse": rmse}


def affect_report(
    protocol: str,
    test_rows: ProbeRows,
    split: Split,
    predicted: NDArray[np.float64],
    chosen: tuple[dict[str, Any], ...],
) -> AffectSection:
    """Compare (M, 2) predicted values of the test faces with theirs."""
    rows, figures = test_rows.at(split.test), []
    for number, name in enumerate(DIMENSIONS):
        for figure, function in _FIGURES.items():
            statistic = _of_columns(function, rows.affect[:, number], predicted[:, number])
            figures.append(metric(f"{name}.{figure}", statistic, rows.people, split.seeds[0]))
    return AffectSection(with_split(protocol, split), tuple(figures), chosen, rows.affect, predicted)


def _of_columns(function: Callable[[Rows, Rows], NDArray[np.float64]], true: Rows, predicted: Rows) -> Statistic:
    return lambda rows: float(function(true[rows], predicted[rows]))


PROTOCOL = Protocol(
    "Valence and arousal",
    lambda plan: plan.valued,
    lambda task: affect_section(task.subject.train_rows, task.subject.test_rows, task.plan.valued),
)
