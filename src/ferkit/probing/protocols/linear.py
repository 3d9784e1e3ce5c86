"""Linear probe: how well a linear classifier reads expressions off frozen features."""

from __future__ import annotations

from ferkit.evaluation.linear import linear_answers
from ferkit.evaluation.sgd import SgdSchedule, sgd_answers
from ferkit.probing.folds import Fold, ProbeRows, Split
from ferkit.probing.protocols.base import Fitted, Protocol, Task, classifier_section, people_to_keep_together
from ferkit.probing.report import ClassifierSection, Section
from ferkit.probing.settings import ProbeSettings

__all__ = ["PROTOCOL", "linear_section"]


def linear_section(
    known: ProbeRows, asked: ProbeRows, split: Split, schedule: SgdSchedule | None = None
) -> ClassifierSection:
    """Read expressions by a linear classifier: L-BFGS, or with a ``schedule`` as the papers do."""

    def fit(fold: Fold, seed: int) -> Fitted:
        train, test = known.at(fold.train), asked.at(split.test[fold.test])
        if schedule is not None:
            return Fitted(sgd_answers(train.features, train.true_labels, test.features, schedule=schedule, seed=seed))
        people = people_to_keep_together(train.people)
        found = linear_answers(train.features, train.true_labels, test.features, train_identities=people, seed=seed)
        chosen = {"strength": found.strength, "held_out_accuracy": found.held_out[found.strength]}
        return Fitted(found.predicted, chosen, found.model)

    how = "L-BFGS on standardised features, strength chosen on a fifth of train"
    if schedule is not None:
        how = f"SGD, {schedule.epochs} epochs, lr {schedule.lr:g}, last epoch"
    return classifier_section(f"linear probe ({how})", known, asked, split, fit)


def _run(task: Task) -> Section:
    return linear_section(task.subject.known, task.subject.asked, task.plan.labelled, _schedule(task.plan.settings))


def _schedule(settings: ProbeSettings) -> SgdSchedule | None:
    if settings.solver == "lbfgs":
        return None
    # MoCo's milestones, at the same shares of the epochs.
    milestones = (round(0.6 * settings.epochs), round(0.8 * settings.epochs))
    return SgdSchedule(lr=settings.lr, epochs=settings.epochs, milestones=milestones)


PROTOCOL = Protocol("Linear probe", lambda plan: plan.labelled, _run)
