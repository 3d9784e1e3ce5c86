"""KDEF, the Karolinska directed emotional faces (Lundqvist, Flykt and Öhman, 1998)."""

import re
from pathlib import Path

from ferkit.data.sources.layouts.folders import pictures_below, wrong_folder
from ferkit.data.sources.layouts.layout import Parts
from ferkit.data.sources.picture import Picture

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
    """Read ``AF01AFS.JPG`` and so on, at any depth; a person's two sessions A and B are one identity."""
    people = [(file, person) for file in pictures_below(root) if (person := _PERSON.match(file.name))]
    if not people:
        raise wrong_folder(root, "KDEF", "AF01AFS.JPG or another such picture", "them")
    return {"": [Picture(str(file), label=_label(file.name), identity=person[1].upper()) for file, person in people]}


def _label(name: str) -> str | None:
    # A file that is named otherwise keeps its person; its expression stays open.
    parts = _NAME.fullmatch(name)
    return _LABELS[parts[1].upper()] if parts else None
