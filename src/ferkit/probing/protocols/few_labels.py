"""Few labels: what a linear classifier learns from a share of them."""

from collections.abc import Sequence

import numpy as np

from ferkit.evaluation.classification import classification_figure
from ferkit.evaluation.few_labels import SHARES, few_label_curve
from ferkit.probing.folds import ProbeRows, Split
from ferkit.probing.protocols.base import Protocol, metric, people_to_keep_together, with_split
from ferkit.probing.report import FewLabelSection


def few_label_section(
    train_rows: ProbeRows, test_rows: ProbeRows, split: Split, shares: Sequence[float] = SHARES, draws: int = 3
) -> FewLabelSection:
    """Fit linear classifiers on growing shares of the labels; of several folds the first is asked."""
    fold, seeds = split.folds[0][0], range(split.seeds[0], split.seeds[0] + draws)
    train, test = train_rows.at(fold.train), test_rows.at(split.test[fold.test])
    points = few_label_curve(
        train.features,
        train.true_labels,
        test.features,
        test.true_labels,
        train_identities=people_to_keep_together(train.people),
        shares=shares,
        seeds=seeds,
    )
    true, people = test.true_labels * draws, tuple(test.people) * draws
    figures = []
    for point in points:
        statistic = classification_figure("accuracy", true, np.concatenate(point.predicted))
        by_seed = tuple(result.accuracy for result in point.results)
        figures.append(metric(f"{point.share:.0%}", statistic, people, split.seeds[0], by_seed=by_seed))
    first = "; the first fold" if len(split.folds[0]) > 1 else ""
    protocol = f"linear probe (L-BFGS) on a share of the labels, accuracy, mean of {draws} draws{first}"
    return FewLabelSection(with_split(protocol, split), tuple(figures), tuple(points))


PROTOCOL = Protocol(
    "Few labels",
    lambda plan: plan.labelled,
    lambda task: few_label_section(task.subject.train_rows, task.subject.test_rows, task.plan.labelled),
)
