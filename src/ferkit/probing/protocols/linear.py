"""Linear probe: how well a linear classifier reads expressions off frozen features."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.evaluation.linear import linear_answers
from ferkit.evaluation.rows import Rows, has_embedding, row_blocks
from ferkit.evaluation.sgd import SCHEDULES, SgdSchedule, sgd_answers
from ferkit.methods.random_ranges import uniform
from ferkit.ops.grids import affine_matrices, sampling_grid
from ferkit.ops.pictures import sample_pictures
from ferkit.probing.encoders import FaceEncoder
from ferkit.probing.folds import Fold, ProbeRows, Split
from ferkit.probing.protocols.base import FoldResult, Protocol, Task, classifier_section, people_to_keep_together
from ferkit.probing.report import ClassifierSection, Section
from ferkit.probing.vector_file import VectorFile

Pixels = NDArray[np.uint8]
Augmented = Callable[[NDArray[np.int64], torch.Generator], Rows]
"""Gives the features of some rows as an epoch sees them."""

_BLOCK = 256
"""Faces that are cropped and encoded at a time."""


def linear_section(
    train_rows: ProbeRows,
    test_rows: ProbeRows,
    split: Split,
    schedule: SgdSchedule | None = None,
    augmented: Augmented | None = None,
) -> ClassifierSection:
    """Read expressions by a linear classifier: L-BFGS, or with a ``schedule`` as the papers do."""

    def fit(fold: Fold, seed: int) -> FoldResult:
        train, test = train_rows.at(fold.train), test_rows.at(split.test[fold.test])
        if schedule is not None:
            return _fit_by_sgd(fold, train, test, schedule, seed, augmented)
        people = people_to_keep_together(train.people)
        answers = linear_answers(train.features, train.true_labels, test.features, train_identities=people, seed=seed)
        chosen = {"strength": answers.strength, "held_out_accuracy": answers.held_out[answers.strength]}
        return FoldResult(answers.predicted, chosen, answers.model)

    how = "L-BFGS on standardised features, strength chosen on a fifth of train"
    if schedule is not None:
        crops = f", other crops of {schedule.least_area:.0%} of the area or more each epoch" if augmented else ""
        decay = f", decay {schedule.weight_decay:g}" if schedule.weight_decay else ""
        how = (
            f"SGD, {schedule.epochs} epochs, lr {schedule.lr:g}, times {schedule.factor:g} after"
            f" {', '.join(map(str, schedule.milestones))}{decay}{crops}, last epoch"
        )
    return classifier_section(f"linear probe ({how})", train_rows, test_rows, split, fit)


def _fit_by_sgd(
    fold: Fold, train: ProbeRows, test: ProbeRows, schedule: SgdSchedule, seed: int, augmented: Augmented | None
) -> FoldResult:
    def redraw(epoch: int) -> Rows:
        seeds = np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(seeds[0]) >> 1)
        return augmented(fold.train[has_embedding(train.features)], generator)  # type: ignore[misc]  # only where it is

    answers = sgd_answers(
        train.features,
        train.true_labels,
        test.features,
        schedule=schedule,
        seed=seed,
        redraw=None if augmented is None else redraw,
    )
    return FoldResult(answers)


def random_crops(crops: Pixels, least_area: float, generator: torch.Generator) -> Pixels:
    """Cut a part out of each crop, mirrored or not, and stretch it to the whole: torchvision's RandomResizedCrop.

    Args:
        crops: (n, S, S, 3) uint8.
        least_area: share of the smallest part; aspects are from 3 : 4 to 4 : 3.
        generator: source of all randomness.

    Returns:
        (n, S, S, 3) uint8.
    """
    count = len(crops)
    aspect = uniform((count,), (-np.log(4 / 3), np.log(4 / 3)), generator).exp()
    # A part wider or higher than the crop is cut to it.
    scale = uniform((count,), (least_area, 1), generator).sqrt()
    scale = torch.minimum(scale, torch.minimum(aspect.sqrt(), 1 / aspect.sqrt()))
    half = torch.stack([scale * aspect.sqrt(), scale / aspect.sqrt()], 1)
    shift = (1 - half).clamp(min=0) * uniform((count, 2), (-1, 1), generator)
    flip = torch.rand(count, generator=generator) < 0.5
    affine = affine_matrices(scale=scale, aspect=aspect, angle=torch.zeros(count), shift=shift, flip=flip)
    planes, _ = sample_pictures(torch.from_numpy(crops), sampling_grid(affine, crops.shape[1]), torch.zeros(count))
    return np.ascontiguousarray(planes.movedim(1, -1).numpy())


def _random_crop_features(task: Task, least_area: float) -> Augmented:
    """Features of other crops in each epoch.

    Raises:
        InputError: there are vectors and no crops.
    """
    faces, source = task.plan.data.face_set, task.subject.source
    if faces is None or isinstance(source, VectorFile):
        raise InputError(f"{task.subject.name!r} has vectors and no faces to crop anew; take --linear lbfgs or moco")
    encoder: FaceEncoder = source

    def features(rows: NDArray[np.int64], generator: torch.Generator) -> Rows:
        crops = (random_crops(faces.crops(block), least_area, generator) for block in row_blocks(rows, _BLOCK))
        return np.concatenate([encoder.features(block) for block in crops])

    return features


def _run(task: Task) -> Section:
    settings, schedule = task.plan.settings, None
    if settings.linear != "lbfgs":
        schedule = SCHEDULES[settings.linear].lasting(settings.epochs)
        schedule = schedule if settings.lr is None else replace(schedule, lr=settings.lr)
    augmented = _random_crop_features(task, schedule.least_area) if schedule and schedule.least_area < 1 else None
    return linear_section(task.subject.train_rows, task.subject.test_rows, task.plan.labelled, schedule, augmented)


PROTOCOL = Protocol("Linear probe", lambda plan: plan.labelled, _run)
