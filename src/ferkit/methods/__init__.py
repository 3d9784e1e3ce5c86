"""Pre-training objectives, one file each."""

from __future__ import annotations

from typing import Any

from ferkit.errors import UnknownMethodError
from ferkit.methods.base import Method, MethodSettings
from ferkit.methods.byol import Byol
from ferkit.methods.contrawarping import ContraWarping
from ferkit.methods.crs_cont import CrsCont
from ferkit.methods.mocov2 import MocoV2
from ferkit.methods.simclr import SimClr
from ferkit.methods.supervised import Supervised

__all__ = ["METHODS", "Method", "MethodSettings", "find_method"]

METHODS: dict[str, type[Method[Any]]] = {
    "byol": Byol,
    "contrawarping": ContraWarping,
    "crs-cont": CrsCont,
    "mocov2": MocoV2,
    "simclr": SimClr,
    "supervised": Supervised,
}


def find_method(name: str) -> type[Method[Any]]:
    """Look a method up; raises `UnknownMethodError` with the nearest names."""
    try:
        return METHODS[name]
    except KeyError:
        raise UnknownMethodError(name, METHODS) from None
