"""Nearest neighbours: what the nearest labelled faces say of a face."""

from dataclasses import replace

from ferkit.evaluation.knn import knn_answers
from ferkit.evaluation.rows import has_embedding
from ferkit.probing.folds import Fold, ProbeRows, Split
from ferkit.probing.protocols.base import Fit, FoldResult, Protocol, classifier_section, with_split
from ferkit.probing.report import ClassifierSection

_TEMPERATURE = 0.07
"""Of weighted votes, as in arXiv:1805.01978."""


def knn_section(train_rows: ProbeRows, test_rows: ProbeRows, split: Split, neighbours: int = 20) -> ClassifierSection:
    """Ask the nearest training faces; also with votes that weigh by nearness.

    Where there are fewer than ``neighbours``, all of them are asked, so that only the weighted votes tell faces apart;
    the section says so.
    """
    fewest = min(int(has_embedding(train_rows.vectors[fold.train]).sum()) for folds in split.folds for fold in folds)
    k = max(1, min(neighbours, fewest))

    def fit_with(temperature: float | None) -> Fit:
        def fit(fold: Fold, _seed: int) -> FoldResult:
            train, test = train_rows.at(fold.train), test_rows.at(split.test[fold.test])
            return FoldResult(knn_answers(train.vectors, train.true_labels, test.vectors, k=k, temperature=temperature))

        return fit

    plain = classifier_section(f"kNN (cosine, k = {k})", train_rows, test_rows, split, fit_with(None))
    weighted = classifier_section("", train_rows, test_rows, split, fit_with(_TEMPERATURE))
    more = tuple(replace(figure, name=f"weighted.{figure.name}") for figure in weighted.figures)
    every = ", all training faces: each answer is their commonest class" if k == fewest else ""
    protocol = f"kNN (cosine, k = {k}{every}; weighted: votes by exp(cosine / {_TEMPERATURE:g}))"
    return ClassifierSection(
        with_split(protocol, split), plain.figures + more, plain.result, (), plain.true, plain.predicted
    )


PROTOCOL = Protocol(
    "Nearest neighbours",
    lambda plan: plan.labelled,
    lambda task: knn_section(
        task.subject.train_rows, task.subject.test_rows, task.plan.labelled, task.plan.settings.neighbours
    ),
)
