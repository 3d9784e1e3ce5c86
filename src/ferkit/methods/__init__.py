"""Pre-training objectives, one file each."""

from typing import Any

from ferkit.errors import UnknownMethodError
from ferkit.methods.base import Method, MethodSettings
from ferkit.methods.byol import Byol
from ferkit.methods.contrawarping import ContraWarping
from ferkit.methods.crs_cont import CrsCont
from ferkit.methods.cycleface import CycleFace
from ferkit.methods.distill import Distill
from ferkit.methods.mocov2 import MocoV2
from ferkit.methods.pcl import Pcl
from ferkit.methods.presets import PRESETS, SCALES, Preset, find_preset, scaled
from ferkit.methods.simclr import SimClr
from ferkit.methods.ssl_fer import SslFer
from ferkit.methods.supervised import Supervised
from ferkit.methods.unwarp import Unwarp
from ferkit.methods.vcl import Vcl
from ferkit.methods.votes import Votes

__all__ = ["METHODS", "PRESETS", "SCALES", "Method", "MethodSettings", "Preset", "find_method", "find_preset", "scaled"]

METHODS: dict[str, type[Method[Any]]] = {
    "byol": Byol,
    "contrawarping": ContraWarping,
    "crs-cont": CrsCont,
    "cycleface": CycleFace,
    "distill": Distill,
    "mocov2": MocoV2,
    "pcl": Pcl,
    "simclr": SimClr,
    "ssl-fer": SslFer,
    "supervised": Supervised,
    "unwarp": Unwarp,
    "vcl": Vcl,
    "votes": Votes,
}


def find_method(name: str) -> type[Method[Any]]:
    """Look a method up; raises `UnknownMethodError` with the nearest names."""
    try:
        return METHODS[name]
    except KeyError:
        raise UnknownMethodError(name, [*METHODS, *PRESETS]) from None
