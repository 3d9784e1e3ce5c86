"""Fine-tuning: all weights learn from the labels of the training faces."""

from __future__ import annotations

import numpy as np

from ferkit.errors import InputError
from ferkit.evaluation.finetune import FineTuneSettings, finetune_answers
from ferkit.probing.encoders import NetworkEncoder
from ferkit.probing.folds import Fold
from ferkit.probing.plan import ProbePlan
from ferkit.probing.probed_encoders import ProbedEncoder
from ferkit.probing.protocols.base import Fitted, Protocol, Task, classifier_section
from ferkit.probing.report import ClassifierSection, Section
from ferkit.progress import Progress

__all__ = ["PROTOCOL", "finetune_section"]


def finetune_section(plan: ProbePlan, subject: ProbedEncoder, progress: Progress) -> ClassifierSection:
    """Fine-tune the encoder on the known faces of each fold, and let it judge the asked ones.

    Raises:
        InputError: there is no network or there are no crops, or as `finetune_answers`.
    """
    known, asked = plan.data.face_set, plan.asked.face_set
    if not isinstance(subject.source, NetworkEncoder) or known is None or asked is None:
        raise InputError(f"{subject.name!r} is no network with faces to see, so nothing can be fine-tuned")
    network, split = subject.source.network, plan.labelled
    settings = FineTuneSettings(
        epochs=plan.settings.finetune_epochs,
        balance="softmax" if plan.settings.balance else "none",
        precision="bf16" if network.center.is_cuda else "float32",
    )

    def fit(fold: Fold, seed: int) -> Fitted:
        rows, places = split.test[fold.test], np.full(len(fold.test), None, object)
        seen, train = rows < len(asked), fold.train[fold.train < len(known)]
        labels = [str(plan.data.labels[row]) for row in train.tolist()]
        found = finetune_answers(
            network,
            known.subset(train),
            labels,
            asked.subset(rows[seen]),
            settings=settings,
            seed=seed,
            progress=progress,
        )
        places[seen] = found.predicted
        return Fitted(places)

    how = "balanced softmax" if plan.settings.balance else "cross entropy"
    protocol = (
        f"fine-tuning of all weights ({settings.epochs} epochs, layer decay {settings.layer_decay:g}, {how},"
        f" {settings.precision})"
    )
    return classifier_section(protocol, subject.known, subject.asked, split, fit)


def _run(task: Task) -> Section:
    return finetune_section(task.plan, task.subject, task.progress)


PROTOCOL = Protocol("Fine-tuning", lambda plan: plan.labelled, _run)
