"""What a run of pre-training can be told; the command line states it without loading anything else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ferkit.pipeline.face_options import FaceKeywords
from ferkit.settings import setting


@dataclass(frozen=True)
class PretrainSettings:
    """Method, preset and recipe, and what wins over them; None leaves it to those."""

    method: str | None = setting(
        None,
        "contrawarping, ssl-fer (or a row of its paper, ssl-fer-a to ssl-fer-g), cycleface, cycleface-identity, "
        "crs-cont, crs-cont-fast, byol, byol-paper, mocov2, simclr or supervised.",
        flags=("--method", "-m"),
        completion="methods",
        default_text="the recipe's, else contrawarping",
    )
    preset: str | None = setting(
        None,
        "Settings of the method that a laptop can do, or those of its paper; they win over a recipe's.",
        metavar="cpu|paper",
        default_text="the method's defaults",
    )
    parts: str | None = setting(
        None,
        "For ssl-fer and contrawarping: time-aug and hard-neg, which need clips, face-swap, mask-fn, cutmix.",
        metavar="PART,PART,…",
        default_text="the method's",
    )
    backbone: str | None = setting(
        None, "Any model name of timm.", default_text="the recipe's, else the method's: mostly resnet18"
    )
    epochs: float | None = setting(None, "Passes over the faces.", default_text="the method's: mostly 50")
    batch_size: int | None = setting(
        None,
        "Faces a step, over all processes.",
        default_text="the method's: mostly 256, or what the faces fill",
    )
    seed: int | None = setting(None, "Source of all randomness.", default_text="0")
    recipe: str | Path | None = setting(
        None,
        "Settings to start from: a run's recipe.yaml, or some lines of one. Options and --set win over it.",
        metavar="FILE.yaml",
        default_text=False,
    )
    settings: Mapping[str, Any] | Sequence[str] = setting(
        (),
        "Any other setting of the method or the loop, such as base=simclr, views.size=64, lr=0.002; wins over all.",
        flags=("--set",),
        metavar="KEY=VALUE",
        default_text=False,
    )
    init: str | None = setting(None, "Encoder whose weights the backbone starts from.", default_text=False)
    monitor: str | Path | None = setting(
        None,
        "A face set with labels: kNN accuracy on it while training, and the best encoder by that.",
        metavar="FACES",
        default_text=False,
    )
    resume: bool = setting(False, "Go on with a run that was stopped.", flags=("--resume",))


class PretrainKeywords(FaceKeywords, total=False):
    """Keyword arguments of `PretrainSettings` and of `ferkit.pipeline.face_options.FaceOptions`."""

    method: str | None
    preset: str | None
    parts: str | None
    backbone: str | None
    epochs: float | None
    batch_size: int | None
    seed: int | None
    recipe: str | Path | None
    settings: Mapping[str, Any] | Sequence[str]
    init: str | None
    monitor: str | Path | None
    resume: bool
