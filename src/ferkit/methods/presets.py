"""Presets: settings of a method and of the loop under a name of their own, as data.

`PRESETS` are names for ``--method``. `SCALES` are names for ``--preset``, which any method takes that has an entry
there: ``cpu`` is what a laptop can do within hours, ``paper`` the settings of the method's paper or published code. A
key is a dotted setting of the method or of the loop; what a preset leaves out has the method's default.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ferkit.errors import InputError
from ferkit.methods.ssl_fer import ROWS

Settings = Mapping[str, Any]


class Preset(NamedTuple):
    """A method with some settings."""

    method: str  # a name of METHODS
    settings: Settings = MappingProxyType({})  # dotted settings of the method and the loop
    backbone: str | None = None  # a timm model; None leaves the choice open


def _random_resized(least_area: float) -> Settings:
    """Crops of torchvision's RandomResizedCrop at 224 px, sides drawn evenly in place of areas; no turns."""
    return {
        "views.size": 224,
        "views.scale": (round(math.sqrt(least_area), 3), 1.0),
        "views.aspect": (0.75, 1.333),
        "views.rotation": 0,
    }


_SIGMA = {"views.sigma": (0.05, 1.0)}
"""0.1 to 2 pixels of 224, in pixels of 112."""

BYOL_PAPER = {
    # arXiv:2006.07733, appendix B, and its 300 epochs of appendix C (1000 take lr 0.2, decay 1.5e-6, momentum 0.996).
    **_random_resized(0.08),
    **_SIGMA,
    **{"views.saturation": 0.2, "views.blur": 1.0, "second_blur": 0.1, "second_solarise": 0.2},
    **{"epochs": 300, "warmup": 1 / 30, "optimizer": "lars", "lr": 0.3, "weight_decay": 1e-6},
}
SIMCLR_PAPER = {
    # arXiv:2002.05709, section 2.2 and appendix A, at colour strength 1; lr 0.3 * batch / 256.
    **_random_resized(0.08),
    **_SIGMA,
    **{"views.brightness": 0.8, "views.contrast": 0.8, "views.saturation": 0.8, "views.hue": 0.2},
    **{"temperature": 0.1, "epochs": 100, "warmup": 0.1, "optimizer": "lars", "lr": 0.3, "weight_decay": 1e-6},
}
MOCOV2_PAPER = {
    # arXiv:2003.04297, table 1 (200 epochs, cosine); crops and rate of arXiv:1911.05722.
    **_random_resized(0.2),
    **_SIGMA,
    **{"queue": 65536, "settings.momentum": 0.999, "epochs": 200, "warmup": 0, "optimizer": "momentum", "lr": 0.03},
}
CONTRAWARPING_PAPER = {
    # What the name of the released checkpoint and the downstream code tell; the optimiser is BYOL's.
    **{"base": "byol", "views.size": 224, "epochs": 50},
    **{"warmup": 0.1, "optimizer": "lars", "lr": 0.3, "weight_decay": 1e-6},
}
CRS_CONT_FAST = {
    # What ferkit's crs-cont-r18 was trained with, but for gray=1, as its faces were gray.
    **{
        "views.size": 96,
        "views.scale": (0.75, 1.0),
        "views.aspect": (0.9, 1.11),
        "views.rotation": 10,
        "views.blur": 0.2,
    },
    **{"agree": 0, "epochs": 14, "batch_size": 64, "optimizer": "adamw", "lr": 8e-4, "weight_decay": 0.05},
    **{"warmup": 0.05, "milestones": None, "ema": 0.999, "precision": "auto"},
}
CYCLEFACE_IDENTITY = {
    # The authors' code: 5e-5 in the first of 20 epochs, then 1e-4, from the tenth 1e-5.
    **{"stage": "identity", "epochs": 20, "lr": 1e-4, "betas": (0.5, 0.9)},
    "milestones": ((0.0, 0.5), (0.05, 1.0), (0.5, 0.1)),
}

PRESETS: dict[str, Preset] = {
    **{f"ssl-fer-{row}": Preset("ssl-fer", {"parts": list(parts)}) for row, parts in ROWS.items()},
    "byol-paper": Preset("byol", BYOL_PAPER),
    "crs-cont-fast": Preset("crs-cont", CRS_CONT_FAST),
    "cycleface-identity": Preset("cycleface", CYCLEFACE_IDENTITY),
}

_SMALL: Settings = {"views.size": 64, "precision": "auto"}
"""What ``cpu`` says of all methods that have no entry there."""

SCALES: dict[str, dict[str, Preset]] = {
    "cpu": {
        "byol": Preset("byol", {**_SMALL, "hidden": 1024}),
        "contrawarping": Preset("contrawarping", {**_SMALL, "base": "simclr"}),
        "crs-cont": Preset("crs-cont", CRS_CONT_FAST),
        # 45 billion multiply-adds a picture become one.
        "cycleface": Preset("cycleface", {**_SMALL, "stem": "learned", "perceptual": 0, "channels": 32, "blocks": 2}),
    },
    "paper": {
        "byol": Preset("byol", BYOL_PAPER),
        "contrawarping": Preset("contrawarping", CONTRAWARPING_PAPER),
        "crs-cont": Preset("crs-cont"),  # its defaults
        "cycleface": Preset("cycleface"),
        "mocov2": Preset("mocov2", MOCOV2_PAPER),
        "simclr": Preset("simclr", SIMCLR_PAPER),
        "ssl-fer": Preset("ssl-fer", {"epochs": 500}, "resnet50"),  # 300 without FaceSwap
    },
}


def find_preset(name: str) -> Preset:
    """What a name of `PRESETS` stands for; any other name is a method's and stands for itself."""
    return PRESETS.get(name) or Preset(name)


def scaled(preset: Preset, scale: str | None) -> Preset:
    """Add what a name of `SCALES` says of the method; None adds nothing.

    Raises:
        InputError: there is no such name, or it says nothing of the method.
    """
    if scale is None:
        return preset
    if scale not in SCALES:
        raise InputError(f"there is no preset {scale!r}; choose {' or '.join(SCALES)}")
    more = SCALES[scale].get(preset.method) or (Preset(preset.method, _SMALL) if scale == "cpu" else None)
    if more is None:
        raise InputError(
            f"{preset.method} has no preset {scale!r}: it is none of a paper's methods; leave --preset out, or take "
            f"--method {', '.join(SCALES[scale])}"
        )
    return Preset(preset.method, {**preset.settings, **more.settings}, more.backbone or preset.backbone)
