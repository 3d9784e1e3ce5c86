"""The linear classifier as the papers train it: stochastic gradient descent, judged after its last epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ferkit.errors import InputError
from ferkit.evaluation.rows import Answers, Rows, check_parts, has_embedding
from ferkit.evaluation.threads import one_thread

__all__ = ["SgdSchedule", "sgd_answers"]


@dataclass(frozen=True, slots=True)
class SgdSchedule:
    """How long and how fast to learn; the defaults are MoCo's (arXiv:1911.05722, section 4.1).

    Attributes:
        lr: at the start.
        epochs: passes over train.
        milestones: epochs after which the rate is divided by ten.
        batch: rows of a step; the last, smaller one of an epoch counts too.
        momentum: of SGD.
        weight_decay: of SGD.
    """

    lr: float = 30.0
    epochs: int = 100
    milestones: tuple[int, ...] = (60, 80)
    batch: int = 256
    momentum: float = 0.9
    weight_decay: float = 0.0


def sgd_answers(
    train: Rows, train_labels: Sequence[str], test: Rows, *, schedule: SgdSchedule = SgdSchedule(), seed: int = 0
) -> Answers:
    """Train a linear layer on the features as they are, and let it judge the test part after the last epoch.

    Args:
        train: (N, D) features, not standardised, as in the papers; faceless rows are left out.
        train_labels: N labels, of at least two classes.
        test: (M, D) features.
        schedule: the settings.
        seed: of the order of the rows. The layer starts at zero.

    Returns:
        (M,) labels; None for a faceless row.

    Raises:
        InputError: lengths or widths differ, a label is missing, there is one class alone, or learning diverges.
    """
    check_parts(train, train_labels, test, None)
    usable, asked = has_embedding(train), has_embedding(test)
    classes, numbers = np.unique(np.asarray(train_labels)[usable], return_inverse=True)
    if len(classes) < 2:
        raise InputError("a classifier needs training rows of at least two labels")
    with one_thread():
        layer = _trained(_tensor(train[usable]), torch.from_numpy(numbers), len(classes), schedule, seed)
    with torch.no_grad():
        scores = layer(_tensor(test[asked]))
    answers = np.full(len(test), None, object)
    answers[asked] = classes[scores.argmax(1).numpy()]
    return answers


def _trained(features: Tensor, labels: Tensor, classes: int, schedule: SgdSchedule, seed: int) -> nn.Linear:
    layer, generator = nn.Linear(features.shape[1], classes), torch.Generator().manual_seed(seed)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(
        layer.parameters(), lr=schedule.lr, momentum=schedule.momentum, weight_decay=schedule.weight_decay
    )
    rates = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(schedule.milestones))
    for _ in range(schedule.epochs):
        order = torch.randperm(len(features), generator=generator)
        for start in range(0, len(order), schedule.batch):
            rows = order[start : start + schedule.batch]
            optimizer.zero_grad()
            F.cross_entropy(layer(features[rows]), labels[rows]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        rates.step()
    if not all(bool(values.isfinite().all()) for values in layer.parameters()):
        raise InputError(f"the linear classifier diverged with lr {schedule.lr}; choose a smaller one")
    return layer


def _tensor(rows: Rows) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(rows, np.float32))
