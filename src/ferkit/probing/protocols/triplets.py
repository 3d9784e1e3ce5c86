"""Triplets: is the same expression on another person nearer than another on the same person, or as people see it?"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ferkit.data.faces import FACE_SCHEMA, face_from_row
from ferkit.errors import InputError
from ferkit.evaluation.rows import Rows
from ferkit.evaluation.triplets import odd_one_out, triplet_score
from ferkit.probing.folds import ProbeRows
from ferkit.probing.plan import ProbePlan
from ferkit.probing.protocols.base import Protocol, Task, mean_of, metric, triplet_metric
from ferkit.probing.report import Section, TripletSection

Numbers = NDArray[np.int64]


def triplet_section(test_rows: ProbeRows, *, pair: tuple[str, str] | None = None, seed: int = 0) -> TripletSection:
    """Ask whether the same expression on another person is nearer than another one on the same person.

    Raises:
        InputError: no two faces of one person show different expressions one of which another person shows.
    """
    labels = [label if pair is None or label in pair else None for label in test_rows.labels]
    score = triplet_score(test_rows.vectors, labels, test_rows.identities, seed=seed)
    if score is None:
        which = "two expressions" if pair is None else f"both {pair[0]!r} and {pair[1]!r}"
        raise InputError(f"no triplet to compare: needs a person with {which}, and another person with one of them")
    figures = (
        triplet_metric("accuracy", score, by_person=False),
        triplet_metric("by_person", score, by_person=True),
    )
    which = "all labels" if pair is None else f"{pair[0]} against {pair[1]}"
    anchors = len(score.anchors)
    protocol = f"cross-identity triplets (cosine), {which}; {score.triplets:,} triplets, {anchors} people"
    return TripletSection(protocol, figures, score.triplets)


def comparison_section(
    vectors: Rows, triplets: Numbers, odd: Numbers, kinds: Sequence[str], *, seed: int = 0
) -> TripletSection:
    """Find the odd one of three as people do: all triplets, and those of each kind, drawn anew one by one.

    Arguments as `odd_one_out`, and the kind of each triplet.
    """
    (right, covered), names = odd_one_out(vectors, triplets, odd), np.asarray(kinds)
    groups = {"fec.accuracy": np.ones(len(odd), bool)}
    groups |= {f"fec.{kind}": names == kind for kind in np.unique(names)}
    figures = (
        metric(name, mean_of(right[rows]), [None] * int(rows.sum()), seed, chance=1 / 3)
        for name, rows in groups.items()
    )
    protocol = f"odd one of three, as people see it (FEC, cosine); {len(odd):,} triplets, {covered:.1%} covered"
    return TripletSection(protocol, tuple(figures), len(odd))


def _run(task: Task) -> Section:
    settings, people = task.plan.settings, task.plan.comparisons
    if people is None:
        return triplet_section(task.subject.test_rows, pair=settings.pair, seed=settings.seed)
    faces = [face_from_row(row) for row in task.plan.test_data.table.select(FACE_SCHEMA.names).to_pylist()]
    vectors = people.vectors(task.subject.test_rows.vectors, faces)
    return comparison_section(vectors, people.triplets, people.odd, people.kinds, seed=settings.seed)


PROTOCOL = Protocol("Triplets", ProbePlan.require_triplets, _run)
