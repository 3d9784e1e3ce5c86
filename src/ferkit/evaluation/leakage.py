"""How much an embedding tells of what it should not: identity, or any other column such as pose, gender or source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.evaluation.intervals import bootstrap_interval
from ferkit.evaluation.linear import STRENGTHS, linear_answers
from ferkit.evaluation.rows import Rows, check_rows, has_embedding, numbered_groups, row_blocks, unit_rows
from ferkit.evaluation.splits import identity_split

_TIE = 1e-6
"""Cosines of float32 vectors that differ by less are equal."""


@dataclass(frozen=True, slots=True, eq=False)
class Leak:
    """How often a column's value can be told; read it beside ``chance``, and beside pixels and random weights."""

    rate: float  # share of faces whose value is told, in [0, 1]
    interval: tuple[float, float]  # its 95 % interval, of a bootstrap over people
    chance: float  # the rate of vectors that know nothing of the value
    faces: int  # faces that were asked; faceless ones are not, or they would count as leaking nothing
    values: int  # different values among them
    rows: NDArray[np.intp]  # (faces,) which rows of the vectors were asked
    hits: NDArray[np.float64]  # (faces,) whether each was told, in [0, 1]


def neighbour_leak(
    vectors: Rows,
    values: Sequence[str | None],
    identities: Sequence[str | None],
    *,
    groups: Sequence[str | None] | None = None,
    seed: int = 0,
) -> Leak:
    """Ask how often the nearest other face (cosine) has the same value: with identities, the 1-NN identity hit rate.

    Neighbours of equal cosine share the answer. Chance is the share of faces with the value among those that may
    answer, mean over the faces asked.

    Args:
        vectors: (N, D) of any length; faceless rows are not used.
        values: N identities, or another column; rows of None are not used.
        identities: N people, for the interval; a row of None is a person of its own.
        groups: N names of what must not answer for its own: clips when identity is asked, since frames of a clip are
            alike; people when another column is. None lets every other face answer.
        seed: of the bootstrap.

    Raises:
        InputError: lengths differ, or there are fewer than two values, or no face whose value another one could tell.
    """
    faces = _usable(vectors, values, identities, groups)
    units, hits, chances = unit_rows(faces.vectors), np.empty(len(faces.vectors)), np.empty(len(faces.vectors))
    for block in row_blocks(np.arange(len(units))):
        others = faces.groups[block][:, None] != faces.groups
        same = (faces.values[block][:, None] == faces.values) & others
        cosines = np.where(others, units[block] @ units.T, -np.inf)
        nearest = (cosines >= cosines.max(axis=1, keepdims=True) - _TIE) & others
        hits[block] = (nearest & same).sum(axis=1) / np.maximum(nearest.sum(axis=1), 1)
        chances[block] = same.sum(axis=1) / np.maximum(others.sum(axis=1), 1)
    answerable = chances > 0
    if not answerable.any():
        raise InputError(f"none of {len(units)} faces shares its value with another one; give several faces of each")
    return _leak(hits[answerable], float(chances[answerable].mean()), faces.at(answerable), seed)


def linear_leak(
    vectors: Rows,
    values: Sequence[str | None],
    identities: Sequence[str | None],
    *,
    groups: Sequence[str | None] | None = None,
    least: int = 4,
    most: int = 100,
    strengths: Sequence[float] = STRENGTHS,
    seed: int = 0,
) -> Leak:
    """Ask how often `linear_answers`, fitted on one half, tells the value of the other half: linear identity accuracy.

    Chance is the share of the most frequent value of the asked half. Vectors and columns are as of `neighbour_leak`;
    here no group is in both halves, and a value whose groups all came into the asked one is not asked. A value needs
    ``least`` faces, and the ``most`` values with most faces are told apart (ferkit defaults): more make a harder
    question, so compare figures of equal ``values`` alone.

    Raises:
        InputError: lengths differ, fewer than two values have enough faces, or the groups cannot be halved.
    """
    faces = _usable(vectors, values, identities, groups)
    sizes = np.bincount(faces.values)
    largest = np.argsort(-sizes, kind="stable")[:most]
    faces = faces.at(np.isin(faces.values, largest[sizes[largest] >= least]))
    if len(np.unique(faces.values)) < 2:
        raise InputError(f"fewer than two values have {least} faces; give several faces of each")
    half = identity_split(_names(faces.values), _names(faces.groups), held_out=2, seed=seed)
    train, test = faces.at(~half), faces.at(half & np.isin(faces.values, faces.values[~half]))
    answers = linear_answers(train.vectors, _names(train.values), test.vectors, strengths=strengths, seed=seed)
    hits = (answers.predicted == np.array(_names(test.values))).astype(np.float64)
    return _leak(hits, float(np.bincount(test.values).max() / len(hits)), test, seed)


class _Faces(NamedTuple):
    """The faces that can be used: (N, D) vectors, and (N,) numbers of value, group, person and row."""

    vectors: Rows
    values: NDArray[np.intp]
    groups: NDArray[np.intp]
    people: NDArray[np.intp]
    rows: NDArray[np.intp]

    def at(self, rows: NDArray[np.bool_]) -> _Faces:
        return _Faces._make(part[rows] for part in self)


def _usable(
    vectors: Rows, values: Sequence[str | None], identities: Sequence[str | None], groups: Sequence[str | None] | None
) -> _Faces:
    alone = [None] * len(vectors) if groups is None else groups
    check_rows(vectors, values=values, identities=identities, groups=alone)
    rows = has_embedding(vectors) & np.array([value is not None for value in values], bool)
    numbers = (numbered_groups(names)[rows] for names in (values, alone, identities))
    values_of, groups_of, people = (np.unique(each, return_inverse=True)[1] for each in numbers)
    faces = _Faces(vectors[rows], values_of, groups_of, people, np.flatnonzero(rows))
    different = len(np.unique(faces.values))
    if different < 2:
        raise InputError(f"{different} different values among {rows.sum()} usable faces leave nothing to tell apart")
    return faces


def _names(numbers: NDArray[np.intp]) -> list[str]:
    return [str(number) for number in numbers.tolist()]


def _leak(hits: NDArray[np.float64], chance: float, faces: _Faces, seed: int) -> Leak:
    figure = bootstrap_interval(lambda rows: float(hits[rows].mean()), _names(faces.people), seed=seed)
    values = len(np.unique(faces.values))
    return Leak(figure.value, (figure.low, figure.high), chance, len(hits), values, faces.rows, hits)
