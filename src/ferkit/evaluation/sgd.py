"""The linear classifier as the papers train it: stochastic gradient descent, judged after its last epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.nn import functional as F

from ferkit.errors import InputError
from ferkit.evaluation.rows import Answers, Rows, check_parts, has_embedding

Redraw = Callable[[int], Rows]
"""Gives the (N, D) features of the training faces as an epoch, numbered from 0, sees them."""


@dataclass(frozen=True, slots=True)
class SgdSchedule:
    """How long and how fast to learn; the defaults are MoCo's (arXiv:1911.05722, section 4.1)."""

    lr: float = 30.0  # at the start
    epochs: int = 100  # passes over train
    milestones: tuple[int, ...] = (60, 80)  # epochs after which the rate is multiplied by ``factor``
    factor: float = 0.1  # see there
    batch: int = 256  # rows of a step; the last, smaller one of an epoch counts too
    momentum: float = 0.9  # of SGD
    weight_decay: float = 0.0  # of SGD
    # share of a face that its smallest crop shows, where each epoch sees others, mirrored or not (torchvision's
    # RandomResizedCrop); 1 for the faces as they are
    least_area: float = 1.0

    def lasting(self, epochs: int | None) -> SgdSchedule:
        """The same with another number of epochs, and the milestones at the same shares of them; None changes none."""
        if epochs is None:
            return self
        milestones = tuple(round(each * epochs / self.epochs) for each in self.milestones)
        return replace(self, epochs=epochs, milestones=milestones)


SCHEDULES: Mapping[str, SgdSchedule] = {
    "moco": SgdSchedule(),
    # FaceCycle's code, on the map before the code (`RUN/map`); its batch is not known.
    "facecycle": SgdSchedule(epochs=300, milestones=(80, 160, 240), weight_decay=1e-4),
    # The authors' code; batch and least area are those of SupCon's, which it follows.
    "crs-cont": SgdSchedule(lr=4.0, milestones=(60, 75, 90), factor=0.2, least_area=0.2),
    # Of its scripts for ImageNet; there the rate differs from method to method.
    "solo-learn": SgdSchedule(lr=0.3, least_area=0.08),
}
"""How papers and libraries train the classifier."""


def sgd_answers(
    train: Rows,
    train_labels: Sequence[str],
    test: Rows,
    *,
    schedule: SgdSchedule = SgdSchedule(),
    seed: int = 0,
    redraw: Redraw | None = None,
) -> Answers:
    """Train a linear layer on the features as they are, and let it judge the test part after the last epoch.

    Args:
        train: (N, D) features, not standardised, as in the papers; faceless rows are left out.
        train_labels: N labels, of at least two classes.
        test: (M, D) features.
        schedule: the settings.
        seed: of the order of the rows. The layer starts at zero.
        redraw: the features of each epoch, of the rows of ``train`` that have a face; None takes those of ``train``.

    Returns:
        (M,) labels; None for a faceless row.

    Raises:
        InputError: lengths or widths differ, a label is missing, there is one class alone, or learning diverges.
    """
    check_parts(train, train_labels, test)
    usable, answerable = has_embedding(train), has_embedding(test)
    classes, numbers = np.unique(np.asarray(train_labels)[usable], return_inverse=True)
    if len(classes) < 2:
        raise InputError("a classifier needs training rows of at least two labels")
    with threadpool_limits(1):  # of small products, see `ferkit.evaluation.linear`
        features_of = redraw or (lambda epoch: train[usable])
        layer = _train_layer(features_of, torch.from_numpy(numbers), len(classes), schedule, seed)
    with torch.no_grad():
        scores = layer(_tensor(test[answerable]))
    answers = np.full(len(test), None, object)
    answers[answerable] = classes[scores.argmax(1).numpy()]
    return answers


def _train_layer(redraw: Redraw, labels: Tensor, classes: int, schedule: SgdSchedule, seed: int) -> nn.Linear:
    features = _tensor(redraw(0))
    layer, generator = nn.Linear(features.shape[1], classes), torch.Generator().manual_seed(seed)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = torch.optim.SGD(
        layer.parameters(), lr=schedule.lr, momentum=schedule.momentum, weight_decay=schedule.weight_decay
    )
    rates = torch.optim.lr_scheduler.MultiStepLR(optimizer, list(schedule.milestones), schedule.factor)
    for epoch in range(schedule.epochs):
        features = _tensor(redraw(epoch)) if epoch else features
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
