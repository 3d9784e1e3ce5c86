"""Nearest neighbours: what the nearest labelled faces say of a face."""

from dataclasses import replace

from ferkit.evaluation.knn import knn_answers
from ferkit.evaluation.rows import has_embedding
from ferkit.probing.folds import Fold, ProbeRows, Split
from ferkit.probing.protocols.base import Fit, FoldResult, Protocol, classifier_section, with_split
from ferkit.probing.report import ClassifierSection

_TEMPERATURE = 0.07
"""Of weighted votes, as in arXiv:1805.01978."""


def knn_section(known: ProbeRows, asked: ProbeRows, split: Split, neighbours: int = 20) -> ClassifierSection:
    """Ask the nearest known faces; also with votes that weigh by nearness.

    Where fewer faces are known than ``neighbours``, all of them are asked.
    """
    fewest = min(int(has_embedding(known.vectors[fold.train]).sum()) for folds in split.folds for fold in folds)
    k = max(1, min(neighbours, fewest))

    def fit_with(temperature: float | None) -> Fit:
        def fit(fold: Fold, _seed: int) -> FoldResult:
            train, test = known.at(fold.train), asked.at(split.test[fold.test])
            return FoldResult(knn_answers(train.vectors, train.true_labels, test.vectors, k=k, temperature=temperature))

        return fit

    plain = classifier_section(f"kNN (cosine, k = {k})", known, asked, split, fit_with(None))
    weighted = classifier_section("", known, asked, split, fit_with(_TEMPERATURE))
    more = tuple(replace(figure, name=f"weighted.{figure.name}") for figure in weighted.figures)
    protocol = f"kNN (cosine, k = {k}; weighted: votes by exp(cosine / {_TEMPERATURE:g}))"
    return ClassifierSection(
        with_split(protocol, split), plain.figures + more, plain.result, (), plain.true, plain.predicted
    )


PROTOCOL = Protocol(
    "Nearest neighbours",
    lambda plan: plan.labelled,
    lambda task: knn_section(task.subject.known, task.subject.asked, task.plan.labelled, task.plan.settings.neighbours),
)
