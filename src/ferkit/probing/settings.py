"""What a probe can be told: the settings that decide its figures.

This file imports nothing of ferkit, so that the command line can state the defaults without loading anything else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["ALL", "PROTOCOLS", "ProbeSettings", "Solver"]

PROTOCOLS = ("linear", "knn", "few-labels", "finetune", "affect", "retrieval", "triplets", "leakage")
"""What a probe can do, in the order in which it is shown."""

ALL = "all"
"""Stands for every protocol that the data permit."""

Solver = Literal["lbfgs", "sgd"]


@dataclass(frozen=True)
class ProbeSettings:
    """How a probe fits and asks.

    Attributes:
        seeds: fits of each classifier, with seeds counted from ``seed``; their answers are pooled.
        seed: the first of them, and that of folds, draws and intervals.
        folds: without test faces, how many parts are asked in turn; 1 asks one fifth. None takes 5 for up to 5,000
            labelled faces, else 1.
        solver: of the linear probe: ``lbfgs``, or ``sgd`` with the papers' schedule.
        lr: of SGD.
        epochs: of SGD.
        neighbours: of kNN.
        k: of retrieval: how many of the first faces count.
        fec: table of Google's facial expression comparison data set, whose triplets are asked as well.
        fec_images: folder of its pictures, which the asked faces were aligned from.
        pair: the two labels that triplets compare; None compares all.
        leak: columns of the table, beside the identity, that leakage asks for.
        finetune_epochs: passes over the training faces when all weights learn.
        balance: take class frequencies off when all weights learn (balanced softmax).
    """

    seeds: int = 1
    seed: int = 0
    folds: int | None = None
    solver: Solver = "lbfgs"
    lr: float = 30.0
    epochs: int = 100
    neighbours: int = 20
    k: int = 10
    fec: str | None = None
    fec_images: str | None = None
    pair: tuple[str, str] | None = None
    leak: tuple[str, ...] = ()
    finetune_epochs: int = 20
    balance: bool = False
