"""Retrieval: do the faces that come back show the same expression on other people?"""

import numpy as np
from numpy.typing import NDArray

from ferkit.evaluation.intervals import Statistic
from ferkit.evaluation.retrieval import retrieval_score
from ferkit.probing.folds import ProbeRows
from ferkit.probing.protocols.base import Protocol, Task, metric
from ferkit.probing.report import RetrievalSection, Section


def retrieval_section(test_rows: ProbeRows, *, k: int = 10, seed: int = 0) -> RetrievalSection:
    """Ask with every labelled face for faces of other people that show the same."""
    score = retrieval_score(test_rows.vectors, test_rows.true_labels, test_rows.people, k=k, seed=seed)
    labels = np.array(test_rows.true_labels)
    figures = tuple(
        metric(name, _mean_over_classes(values, labels), test_rows.people, seed, chance=1 / len(score.by_class))
        for name, values in (("precision", score.precisions), ("mean_average_precision", score.average_precisions))
    )
    protocol = (
        f"retrieval (cosine, own person excluded): precision at {score.k} and mAP, mean over classes;"
        f" {score.repeats} galleries of {score.per_class} faces a class"
    )
    return RetrievalSection(protocol, figures, score.by_class)


def _mean_over_classes(values: NDArray[np.float64], labels: NDArray[np.str_]) -> Statistic:
    classes, numbers = np.unique(labels, return_inverse=True)

    def value(rows: NDArray[np.int64]) -> float:
        counts = np.bincount(numbers[rows], minlength=len(classes))
        sums = np.bincount(numbers[rows], weights=values[rows], minlength=len(classes))
        return float((sums[counts > 0] / counts[counts > 0]).mean())

    return value


def _run(task: Task) -> Section:
    settings, test_rows = task.plan.settings, task.subject.test_rows.at(task.plan.test_labelled)
    return retrieval_section(test_rows, k=settings.k, seed=settings.seed)


PROTOCOL = Protocol("Retrieval", lambda plan: plan.test_labelled, _run)
