"""KDEF, the Karolinska directed emotional faces (Lundqvist, Flykt and Öhman, 1998)."""

from __future__ import annotations

import re
from pathlib import Path

from ferkit.data.sources.layouts.folders import folder_names, image_names, wrong_folder
from ferkit.data.sources.layouts.layout import Parts
from ferkit.data.sources.picture import Picture

__all__ = ["read_kdef"]

_PERSON = re.compile(r"[AB]([FM]\d\d)", re.IGNORECASE)  # session, sex and number
_NAME = re.compile(r"[AB][FM]\d\d(AF|AN|DI|HA|NE|SA|SU)(FL|HL|S|HR|FR)\.\w+", re.IGNORECASE)
_LABELS = {
    "AF": "fear",
    "AN": "anger",
    "DI": "disgust",
    "HA": "happiness",
    "NE": "neutral",
    "SA": "sadness",
    "SU": "surprise",
}


def read_kdef(root: Path) -> Parts:
    """Read ``KDEF/AF01/AF01AFS.JPG`` and so on; a person's two sessions A and B are one identity."""
    for base in (root, root / "KDEF", root / "KDEF_and_AKDEF" / "KDEF"):
        people = filter(None, map(_PERSON.fullmatch, folder_names(base))) if base.is_dir() else ()
        pictures = [picture for person in people for picture in _person(base / person[0], person[1].upper())]
        if pictures:
            return {"": pictures}
    raise wrong_folder(root, "KDEF", "AF01 or another such folder", "them")


def _person(folder: Path, identity: str) -> list[Picture]:
    return [Picture(str(folder / name), label=_label(name), identity=identity) for name in image_names(folder)]


def _label(name: str) -> str | None:
    # A file that is named otherwise keeps its person; its expression stays open.
    parts = _NAME.fullmatch(name)
    return _LABELS[parts[1].upper()] if parts else None
