"""Fine-tuning: all weights learn from the labels of the training faces."""

import numpy as np

from ferkit.data.face_set import FaceSet
from ferkit.encoders.encoder import Encoder
from ferkit.errors import InputError
from ferkit.evaluation.finetune import FINETUNES, FineTuneSettings, finetune_answers
from ferkit.probing.encoders import NetworkEncoder
from ferkit.probing.folds import Fold
from ferkit.probing.plan import ProbePlan
from ferkit.probing.probed_encoders import ProbedEncoder
from ferkit.probing.protocols.base import FoldResult, Protocol, classifier_section
from ferkit.probing.report import ClassifierSection
from ferkit.progress import Progress


def finetune_section(plan: ProbePlan, subject: ProbedEncoder, progress: Progress) -> ClassifierSection:
    """Fine-tune the encoder on the training faces of each fold, and let it judge the test faces.

    Raises:
        InputError: there is no network or there are no crops, or as `finetune_answers`.
    """
    network, train_faces, test_faces, settings = tuning(plan, subject)
    split = plan.labelled

    def fit(fold: Fold, seed: int) -> FoldResult:
        rows, places = split.test[fold.test], np.full(len(fold.test), None, object)
        has_face, train = rows < len(test_faces), fold.train[fold.train < len(train_faces)]
        result = finetune_answers(
            network,
            train_faces.subset(train),
            [str(plan.data.labels[row]) for row in train.tolist()],
            test_faces.subset(rows[has_face]),
            settings=settings,
            seed=seed,
            progress=progress,
        )
        places[has_face] = result.predicted
        return FoldResult(places)

    loss = "balanced softmax" if settings.balance == "softmax" else "cross entropy"
    return classifier_section(tuning_words(settings, loss), subject.train_rows, subject.test_rows, split, fit)


def tuning(plan: ProbePlan, subject: ProbedEncoder) -> tuple[Encoder, FaceSet, FaceSet, FineTuneSettings]:
    """The network, the faces that it learns from and those that it judges, and how.

    Raises:
        InputError: there is no network or there are no crops.
    """
    train_faces, test_faces, s = plan.data.face_set, plan.test_data.face_set, plan.settings
    if not isinstance(subject.source, NetworkEncoder) or train_faces is None or test_faces is None:
        raise InputError(f"{subject.name!r} is no network with faces to see, so nothing can be fine-tuned")
    network = subject.source.network
    settings = {"epochs": s.finetune_epochs, "lr": s.finetune_lr, "batch_size": s.finetune_batch, "head": s.head}
    changed = {name: value for name, value in settings.items() if value is not None}
    changed |= {"balance": "softmax"} if s.balance else {}
    changed |= {"precision": "bf16" if network.center.is_cuda else "float32"}
    return network, train_faces, test_faces, FINETUNES[s.finetune].model_copy(update=changed)


def tuning_words(settings: FineTuneSettings, loss: str) -> str:
    """Say how all weights learnt."""
    return (
        f"fine-tuning of all weights ({settings.epochs} epochs, {settings.optimizer}, lr {settings.lr:g}, layer decay"
        f" {settings.layer_decay:g}, head {settings.head}, {loss}, {settings.precision})"
    )


PROTOCOL = Protocol(
    "Fine-tuning", lambda plan: plan.labelled, lambda task: finetune_section(task.plan, task.subject, task.progress)
)
