"""Classes that folders stand for: those of torchvision's ImageFolder, of data sets' common copies, and YOLO's."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ferkit.data.expressions import EXPRESSIONS

SPLITS = frozenset(
    {"train", "training", "val", "valid", "validation", "test", "testing", "dev", "eval", "publictest", "privatetest"}
    | {"train_set", "val_set", "test_set", "fer2013train", "fer2013valid", "fer2013test"}
)
"""Folders of these names, in any case, part a data set and are never classes."""

_LOOSE_SHARE = 0.05
"""Of a folder's pictures, how many may lie beside its class folders; one may in any case."""

RAF_DB = dict(enumerate(("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"), 1))
AFFECTNET = dict(enumerate(EXPRESSIONS))
_NUMBERED = (
    (re.compile(r"(train|test)_\d+(_aligned)?\.\w+"), RAF_DB),
    (re.compile(r"(image\d{7}|ffhq_\d+|[0-9a-f]{40,})\.\w+"), AFFECTNET),
)
"""How the files of data sets are called whose classes are numbers, and what these mean."""

_YOLO_NAMES = re.compile(r"^names:\s*(\[.*?\])", re.MULTILINE | re.DOTALL)


def class_folders(files: Sequence[Sequence[str]]) -> list[str | None]:
    """Return each file's class by the layout of torchvision's ImageFolder.

    A lone folder that holds all others, and folders of `SPLITS`, stand for no class: those below them may. Class
    numbers of RAF-DB and AffectNet, known by how the files are called, become the names of expressions.

    Args:
        files: the parts of each file's path below the root.

    Returns:
        The class folder's name, one per file; None for files beside the class folders, and for all where fewer than
        two folders hold files or too many files lie beside them.
    """
    below = [_below_splits(parts) for parts in files]
    while below and len({parts[0] for parts in below}) == 1 and all(len(parts) > 1 for parts in below):
        below = [_below_splits(parts[1:]) for parts in below]
    tops = {parts[0] for parts in below if len(parts) > 1}
    loose = sum(len(parts) == 1 for parts in below)
    if len(tops) < 2 or loose > max(1, _LOOSE_SHARE * len(below)):
        return [None] * len(below)
    return [numbered_class(parts[0], parts[-1]) if len(parts) > 1 else None for parts in below]


def numbered_class(label: str, name: str) -> str:
    """Return a class number's expression where the picture is called as those of RAF-DB or AffectNet, else itself."""
    if not label.isdecimal():
        return label
    codes: Mapping[int, str] = next((codes for pattern, codes in _NUMBERED if pattern.fullmatch(name)), {})
    return codes.get(int(label), label)


def yolo_classes(root: Path, files: Sequence[Path]) -> list[str | None] | None:
    """Return each picture's class as YOLO keeps it: a number in ``labels`` beside ``images``, named in ``data.yaml``.

    Returns:
        None where ``root``, or a lone folder in it, holds no such file.
    """
    listing = next((path for place in ("data.yaml", "*/data.yaml") for path in sorted(root.glob(place))), None)
    if listing is None:
        return None
    try:
        match = _YOLO_NAMES.search(listing.read_text("utf-8"))
        names = [str(name) for name in ast.literal_eval(match[1])] if match else []
    except (OSError, ValueError, SyntaxError):
        return None
    return [_yolo_class(file, names) for file in files] if names else None


def _yolo_class(file: Path, names: Sequence[str]) -> str | None:
    parts = list(file.parts)
    if "images" not in parts:
        return None
    parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    try:
        number = Path(*parts).with_suffix(".txt").read_text("utf-8").split()[0]
        return names[int(number)].lower()
    except (OSError, ValueError, IndexError):
        return None


def _below_splits(parts: Sequence[str]) -> Sequence[str]:
    while len(parts) > 1 and parts[0].casefold() in SPLITS:
        parts = parts[1:]
    return parts
