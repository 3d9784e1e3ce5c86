"""What a probe can be told: the settings that decide its figures.

This file imports nothing heavy, so that the command line can state the defaults at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ferkit.errors import InputError
from ferkit.pipeline.face_options import FaceKeywords
from ferkit.settings import setting

PROTOCOLS = (
    *("linear", "knn", "few-labels", "finetune", "affect", "finetune-affect"),
    *("retrieval", "triplets", "leakage"),
)
"""What a probe can do, in the order in which it is shown: the names of the files of `ferkit.probing.protocols`."""

ALL = "all"
"""Stands for every protocol that the data permit."""

LINEAR = ("lbfgs", "moco", "facecycle", "crs-cont", "solo-learn")
"""How the linear probe is fitted: by L-BFGS, or by a schedule of `ferkit.evaluation.sgd.SCHEDULES`."""

FINETUNES = ("ferkit", "ssl-fer")
"""How all weights learn: names of `ferkit.evaluation.finetune.FINETUNES`."""

HEADS = ("linear", "mlp")
"""Classifiers that all weights may learn with."""

PIXELS, RANDOM = "pixels", "random"
"""Encoders that have learnt nothing, by name: the floor that others stand on."""

_FITTING, _ASKING = "Fitting", "Asking"


def _parse_pair(text: str) -> tuple[str, str]:
    """``happiness,neutral`` as two labels."""
    first, _, second = (part.strip() for part in text.partition(","))
    if not first or not second or first == second or "," in second:
        raise ValueError(f"{text!r} is not two labels, such as happiness,neutral")
    return first, second


@dataclass(frozen=True)
class ProbeSettings:
    """How a probe fits and asks.

    Raises:
        InputError: a value is out of range, or names nothing.
    """

    seeds: int = setting(1, "Fits of each classifier; their answers are pooled.", min=1, group=_FITTING)
    seed: int = setting(0, "The first of them.", group=_FITTING)
    folds: int | None = setting(
        None,
        "Without --test: parts that are asked in turn; 1 asks one fifth.",
        min=1,
        default_text="5 up to 5,000 faces, else 1",
        group=_FITTING,
    )
    linear: str = setting(
        "lbfgs",
        "How the linear probe is fitted: L-BFGS, or a paper's schedule of SGD.",
        metavar="|".join(LINEAR),
        group=_FITTING,
    )
    lr: float | None = setting(None, "Learning rate of SGD.", default_text="the schedule's", group=_FITTING)
    epochs: int | None = setting(None, "Of SGD.", min=1, default_text="the schedule's", group=_FITTING)
    finetune: str = setting(
        "ferkit",
        "How all weights learn: ferkit's way, or that of a paper.",
        metavar="|".join(FINETUNES),
        group=_FITTING,
    )
    finetune_lr: float | None = setting(None, "Its learning rate.", default_text="the way's", group=_FITTING)
    finetune_epochs: int | None = setting(None, "Its epochs.", min=1, default_text="the way's: 20", group=_FITTING)
    finetune_batch: int | None = setting(None, "Its batch.", min=2, default_text="the way's: 64", group=_FITTING)
    head: str | None = setting(
        None,
        "Its classifier: one layer, or two with dropout.",
        metavar="|".join(HEADS),
        default_text="the way's",
        group=_FITTING,
    )
    balance: bool = setting(False, "Balanced softmax in finetune.", flags=("--balance",), group=_FITTING)
    neighbours: int = setting(20, "Of knn.", min=1, group=_ASKING)
    k: int = setting(10, "How many found faces retrieval counts.", min=1, flags=("-k",), group=_ASKING)
    pair: tuple[str, str] | None = setting(
        None,
        "Two labels that triplets compare.",
        metavar="LABEL,LABEL",
        parser=_parse_pair,
        default_text="all",
        group=_ASKING,
    )
    fec: str | None = setting(
        None,
        "Triplets of Google's facial expression comparison data set, asked instead; the faces are those of its "
        "pictures.",
        metavar="CSV",
        default_text=False,
        group=_ASKING,
    )
    fec_images: str | None = setting(None, "Its pictures.", metavar="FOLDER", default_text=False, group=_ASKING)
    leak: Sequence[str] = setting(
        (),
        "Also ask what the vectors tell of this column, such as yaw or source (may be repeated).",
        metavar="COLUMN",
        default_text=False,
        group=_ASKING,
    )

    def __post_init__(self) -> None:
        if self.seeds < 1 or (self.folds is not None and self.folds < 1):
            raise InputError(f"{self.seeds} seeds and {self.folds} folds were asked for; give 1 or more of each")
        for name, choices in ((self.linear, LINEAR), (self.finetune, FINETUNES), (self.head, (None, *HEADS))):
            if name not in choices:
                raise InputError(f"there is no {name!r} to choose here; take {', '.join(filter(None, choices))}")
        numbers = [self.epochs, self.lr, self.neighbours, self.finetune_epochs, self.finetune_lr, self.finetune_batch]
        if any(number is not None and number <= 0 for number in numbers):
            raise InputError("epochs, learning rate, batch and neighbours must be above 0")


@dataclass(frozen=True)
class ProbeOutputs:
    """What a probe leaves beside its answer."""

    out: str | Path | None = setting(
        None,
        "Folder for report.json, report.html and pictures: new, empty, or with an earlier report, which is replaced.",
        flags=("--out", "-o"),
        default_text="none",
    )
    pictures: bool = setting(
        True, "Draw into --out: confusion, map, nearest faces, …", flags=("--pictures/--no-pictures",)
    )
    compare: bool = setting(False, "Say by how much the first encoder differs from the others.", flags=("--compare",))
    publish: bool = setting(False, "Write the figures into the run's encoder.yaml.", flags=("--publish",))
    csv: str | Path | None = setting(
        None, "All figures as a table, a row each.", metavar="FILE.csv|.tsv|.parquet", default_text=False
    )
    latex: str | Path | None = setting(
        None, "A LaTeX table for each protocol (booktabs).", metavar="FILE.tex", default_text=False
    )
    save_head: str | Path | None = setting(
        None,
        "Keep a head for `ferkit recognise --head`, fitted on all labelled faces of --data.",
        metavar="HEAD.safetensors",
        default_text=False,
    )


class ProbeKeywords(FaceKeywords, total=False):
    """Keyword arguments of `ProbeSettings`, `ProbeOutputs` and `ferkit.pipeline.face_options.FaceOptions`."""

    seeds: int
    seed: int
    folds: int | None
    linear: str
    lr: float | None
    epochs: int | None
    finetune: str
    finetune_lr: float | None
    finetune_epochs: int | None
    finetune_batch: int | None
    head: str | None
    balance: bool
    neighbours: int
    k: int
    pair: tuple[str, str] | None
    fec: str | None
    fec_images: str | None
    leak: Sequence[str]
    out: str | Path | None
    pictures: bool
    compare: bool
    publish: bool
    csv: str | Path | None
    latex: str | Path | None
    save_head: str | Path | None
