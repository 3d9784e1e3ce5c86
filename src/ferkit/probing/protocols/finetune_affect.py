"""Fine-tuned valence and arousal: all weights learn from the values of the training faces, by the CCC loss."""

import numpy as np

from ferkit.evaluation.finetune import finetune_values
from ferkit.probing.protocols.affect import affect_report
from ferkit.probing.protocols.base import Protocol, Task, first_seed
from ferkit.probing.protocols.finetune import tuning, tuning_words
from ferkit.probing.report import Section


def _run(task: Task) -> Section:
    network, train_faces, test_faces, settings = tuning(task.plan, task.subject)
    split = first_seed(task.plan.valued)
    values = task.plan.data.affect
    predicted = np.empty((len(split.test), values.shape[1]))
    for fold in split.folds[0]:
        train, rows = fold.train[fold.train < len(train_faces)], split.test[fold.test]
        has_face = rows < len(test_faces)
        result = finetune_values(
            network,
            train_faces.subset(train),
            values[train],
            test_faces.subset(rows[has_face]),
            settings=settings,
            seed=split.seeds[0],
            progress=task.progress,
        )
        predicted[fold.test] = values[train].mean(axis=0)  # of a picture without a face
        predicted[fold.test[has_face]] = result.outputs
    return affect_report(tuning_words(settings, "CCC loss"), task.subject.test_rows, split, predicted, ())


PROTOCOL = Protocol("Fine-tuned valence and arousal", lambda plan: plan.valued, _run)
