"""How right the answers of a classifier are, class by class."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError

Table = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Classification:
    """Right and wrong answers; a face without an answer counts as wrong."""

    accuracy: float  # share of right answers, in [0, 1]
    balanced_accuracy: float  # mean of the recalls, so that every class weighs the same
    macro_f1: float  # mean over classes, of the truth or of the answers, of 2 TP / (2 TP + FP + FN)
    recall: dict[str, float]  # share of right answers among the faces of each class of the truth
    classes: tuple[str, ...]  # labels of the truth and of the answers, sorted
    # faces of class [row] that were called class [column], in the order of ``classes``
    confusion: tuple[tuple[int, ...], ...]
    unanswered: tuple[int, ...]  # faces of each class without an answer, in the order of ``classes``
    unseen: dict[str, int]  # labels of the truth that training did not hold, and their faces; they cannot be right
    coverage: float  # share of faces with an answer
    count: int  # faces


def classification_of(
    true: Sequence[str], predicted: Sequence[str | None] | NDArray[Any], *, known: Collection[str] | None = None
) -> Classification:
    """Compare answers with the truth.

    Args:
        true: N labels, at least one.
        predicted: N answers; None where there was no face to judge.
        known: labels that training held; None claims that it held them all.

    Raises:
        InputError: lengths differ, there is nothing to compare, or a true label is missing.
    """
    cells, classes = _cells(true, predicted)
    table = _count_cells(cells, len(classes))
    faces = table.sum(axis=1)
    present = np.flatnonzero(faces)
    unseen = Counter(label for label in true if known is not None and label not in known)
    return Classification(
        accuracy=_accuracy(table),
        balanced_accuracy=_balanced_accuracy(table),
        macro_f1=_macro_f1(table),
        recall={classes[number]: float(table[number, number] / faces[number]) for number in present},
        classes=classes,
        confusion=tuple(tuple(row) for row in table[:, :-1].tolist()),
        unanswered=tuple(table[:, -1].tolist()),
        unseen=dict(sorted(unseen.items())),
        coverage=float(table[:, :-1].sum() / len(true)),
        count=len(true),
    )


def classification_figure(
    name: str, true: Sequence[str], predicted: Sequence[str | None] | NDArray[Any]
) -> Callable[[NDArray[np.int64]], float]:
    """Return the function that gives the figure ``name`` of FIGURES for some rows, with repeats, for a bootstrap.

    Raises:
        InputError: as `classification_of`.
    """
    cells, classes = _cells(true, predicted)
    figure = FIGURES[name]
    return lambda rows: figure(_count_cells(cells[rows], len(classes)))


def _cells(
    true: Sequence[str], predicted: Sequence[str | None] | NDArray[Any]
) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return (N,) the cell of each face in a flat (classes, classes + 1) table, whose last column is "no answer"."""
    if len(true) != len(predicted):
        raise InputError(f"{len(true)} labels and {len(predicted)} answers do not match; give one for each face")
    missing = sum(label is None for label in true)
    if missing or not len(true):
        raise InputError(f"{missing} of {len(true)} faces have no true label; give labelled faces alone")
    classes = tuple(sorted({str(label) for label in (*true, *predicted) if label is not None}))
    number: dict[str | None, int] = {name: place for place, name in enumerate(classes)}
    number[None] = len(classes)
    cells = [number[t] * (len(classes) + 1) + number[p] for t, p in zip(true, predicted, strict=True)]
    return np.array(cells, np.int64), classes


def _count_cells(cells: NDArray[np.int64], classes: int) -> Table:
    return np.bincount(cells, minlength=classes * (classes + 1)).reshape(classes, classes + 1)


def _accuracy(table: Table) -> float:
    return float(np.trace(table) / table.sum())


def _balanced_accuracy(table: Table) -> float:
    faces = table.sum(axis=1)
    return float(np.mean(np.diag(table)[faces > 0] / faces[faces > 0]))


def _macro_f1(table: Table) -> float:
    # Faces of a class plus answers of that class are 2 TP + FP + FN.
    either = table.sum(axis=1) + table[:, :-1].sum(axis=0)
    return float(np.mean(2 * np.diag(table)[either > 0] / either[either > 0]))


FIGURES: Mapping[str, Callable[[Table], float]] = MappingProxyType(
    {"accuracy": _accuracy, "balanced_accuracy": _balanced_accuracy, "macro_f1": _macro_f1}
)
"""Each figure of a (classes, classes + 1) table of counts: truth down, answers across, "no answer" last."""
