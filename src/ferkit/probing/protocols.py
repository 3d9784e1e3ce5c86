"""Every protocol of a probe by its name: what it needs, and how it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from ferkit.data.faces import FACE_SCHEMA, face_from_row
from ferkit.evaluation.sgd import SgdSchedule
from ferkit.probing.finetune import finetune_section
from ferkit.probing.plan import ProbePlan
from ferkit.probing.probed_encoders import Subject, baselines, rows_of
from ferkit.probing.protocol_runs import (
    affect_section,
    comparison_section,
    few_label_section,
    knn_section,
    leakage_figures,
    leakage_section,
    linear_section,
    retrieval_section,
    triplet_section,
)
from ferkit.probing.report import Figure, Section
from ferkit.probing.settings import ProbeSettings
from ferkit.progress import Progress

__all__ = ["RUNNERS", "Runner", "Task"]


@dataclass(frozen=True, eq=False)
class Task:
    """One encoder under one plan.

    Attributes:
        plan: who is known and who is asked.
        subject: the encoder.
        device: where networks compute.
        progress: told of long work.
        leaks: what baselines leak, by their keys: found once for all encoders.
    """

    plan: ProbePlan
    subject: Subject
    device: str | None
    progress: Progress
    leaks: dict[str, tuple[Figure, ...]]


class Runner(NamedTuple):
    """A protocol.

    Attributes:
        check: raises an InputError where the data do not permit it.
        run: gives the section of one encoder.
    """

    check: Callable[[ProbePlan], object]
    run: Callable[[Task], Section]


def _linear(task: Task) -> Section:
    return linear_section(task.subject.known, task.subject.asked, task.plan.labelled, _schedule(task.plan.settings))


def _schedule(settings: ProbeSettings) -> SgdSchedule | None:
    if settings.solver == "lbfgs":
        return None
    # MoCo's milestones, at the same shares of the epochs.
    milestones = (round(0.6 * settings.epochs), round(0.8 * settings.epochs))
    return SgdSchedule(lr=settings.lr, epochs=settings.epochs, milestones=milestones)


def _knn(task: Task) -> Section:
    return knn_section(task.subject.known, task.subject.asked, task.plan.labelled, task.plan.settings.neighbours)


def _few_labels(task: Task) -> Section:
    return few_label_section(task.subject.known, task.subject.asked, task.plan.labelled)


def _finetune(task: Task) -> Section:
    return finetune_section(task.plan, task.subject, task.progress)


def _affect(task: Task) -> Section:
    return affect_section(task.subject.known, task.subject.asked, task.plan.valued)


def _retrieval(task: Task) -> Section:
    settings, asked = task.plan.settings, task.subject.asked.at(task.plan.asked_labelled)
    return retrieval_section(asked, k=settings.k, seed=settings.seed)


def _triplets(task: Task) -> Section:
    settings, people = task.plan.settings, task.plan.comparisons
    if people is None:
        return triplet_section(task.subject.asked, pair=settings.pair, seed=settings.seed)
    faces = [face_from_row(row) for row in task.plan.asked.table.select(FACE_SCHEMA.names).to_pylist()]
    vectors = people.vectors(task.subject.asked.vectors, faces)
    return comparison_section(vectors, people.triplets, people.odd, people.kinds, seed=settings.seed)


def _leakage(task: Task) -> Section:
    plan = task.plan
    columns, seed = plan.leak_columns(), plan.settings.seed
    below = {}
    for other in baselines(task.subject.source, plan.asked, task.device):
        if other.key not in task.leaks:
            rows = rows_of(other, plan.asked, task.progress)
            task.leaks[other.key] = leakage_figures(rows, columns, seed)[0]
        below[other.given] = task.leaks[other.key]
    return leakage_section(task.subject.asked, columns, below, seed=seed)


RUNNERS: Mapping[str, Runner] = MappingProxyType(
    {
        "linear": Runner(lambda plan: plan.labelled, _linear),
        "knn": Runner(lambda plan: plan.labelled, _knn),
        "few-labels": Runner(lambda plan: plan.labelled, _few_labels),
        "finetune": Runner(lambda plan: plan.labelled, _finetune),
        "affect": Runner(lambda plan: plan.valued, _affect),
        "retrieval": Runner(lambda plan: plan.asked_labelled, _retrieval),
        "triplets": Runner(ProbePlan.require_triplets, _triplets),
        "leakage": Runner(ProbePlan.leak_columns, _leakage),
    }
)
"""In the order in which they are shown."""
