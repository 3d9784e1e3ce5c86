"""Classes that folders stand for: those of torchvision's ImageFolder, of data sets' common copies, and YOLO's."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from ferkit.data.expressions import EXPRESSIONS, expression
from ferkit.documents import parse_yaml

_SPLIT = re.compile(
    r"(fer2013)?(train|training|val|valid|validation|test|testing|dev|eval|publictest|privatetest)"
    r"([ _-]?(set|data|split|images?|faces))?",
    re.IGNORECASE,
)
"""How folders are called that part a data set, which are never classes."""

_LOOSE_SHARE = 0.05
"""Of a folder's pictures, how many may lie beside its class folders; one may in any case."""

RAF_DB = dict(enumerate(("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"), 1))
AFFECTNET = dict(enumerate(EXPRESSIONS))
_NUMBERED = (
    (re.compile(r"(train|test)_\d+(_aligned)?\.\w+"), RAF_DB),
    (re.compile(r"(image\d{7}|ffhq_\d+|[0-9a-f]{40,})\.\w+"), AFFECTNET),
)
"""How the files of data sets are called whose classes are numbers, and what these mean."""


def class_folders(files: Sequence[Sequence[str]]) -> list[str | None]:
    """Return each file's class by the folders that it lies in.

    Where folders are named as expressions, at whatever depth, they and those beside them are the classes: below people,
    folds or splits of any name. Else the layout is that of torchvision's ImageFolder, but that a lone folder that holds
    all others, and those of splits, stand for no class. Class numbers of RAF-DB and AffectNet, known by how the
    files are called, become the names of expressions.

    Args:
        files: the parts of each file's path below the root.

    Returns:
        The class folder's name, one per file; None for files beside the class folders, and for all where fewer than
        two folders hold files or too many files lie beside them.
    """
    labels = _expression_folders(files)
    if _are_classes(labels):
        return labels
    below = [_below_splits(parts) for parts in files]
    while below and len({parts[0] for parts in below}) == 1 and all(len(parts) > 1 for parts in below):
        below = [_below_splits(parts[1:]) for parts in below]
    labels = [numbered_class(parts[0], parts[-1]) if len(parts) > 1 else None for parts in below]
    return labels if _are_classes(labels) else [None] * len(labels)


def _expression_folders(files: Sequence[Sequence[str]]) -> list[str | None]:
    """Return the first folder of each file's path that is named as an expression or lies beside such a one."""
    named = {(*parts[: depth + 1],) for parts in files for depth in range(len(parts) - 1)}
    named = {folder for folder in named if expression(folder[-1]) in EXPRESSIONS}
    if len({expression(folder[-1]) for folder in named}) < 2:
        return []
    parents = {folder[:-1] for folder in named}
    return [
        next((name for depth, name in enumerate(parts[:-1]) if (*parts[:depth],) in parents), None) for parts in files
    ]


def _are_classes(labels: Sequence[str | None]) -> bool:
    """Say whether these are at least two classes that hardly a file lies beside."""
    return len({*labels} - {None}) > 1 and labels.count(None) <= max(1, _LOOSE_SHARE * len(labels))


def numbered_class(label: str, name: str) -> str:
    """Return a class number's expression where the picture is called as those of RAF-DB or AffectNet, else itself."""
    if not label.isdecimal():
        return label
    codes: Mapping[int, str] = next((codes for pattern, codes in _NUMBERED if pattern.fullmatch(name)), {})
    return codes.get(int(label), label)


def folder_labels(
    files: Sequence[str], parts: Sequence[Sequence[str]], others: Iterable[str], read: Callable[[str], str]
) -> tuple[list[str | None], str]:
    """Return each picture's label by `yolo_classes`, else by the `class_folders` of its parts, and which it was."""
    labels = yolo_classes(files, others, read)
    if any(labels):
        return labels, "YOLO's label files"
    labels = class_folders(parts)
    return labels, "class folders" if any(labels) else ""


def yolo_classes(files: Sequence[str], others: Iterable[str], read: Callable[[str], str]) -> list[str | None]:
    """Return each picture's class as YOLO keeps it: a number in ``labels`` beside ``images``, named in ``data.yaml``.

    Args:
        files: the pictures' paths below the root, ``/`` between folders.
        others: those of the files among which the one with the names is.
        read: returns the text of a file; `OSError`, `KeyError` or `ValueError` where it cannot.

    Returns:
        None for pictures without a label, and for all where no file has the names.
    """
    listings = sorted(name for name in others if PurePosixPath(name).match("*.y*ml") and name.count("/") < 2)
    names = next(filter(None, (_yolo_names(name, read) for name in listings)), {})
    return [_yolo_class(file, names, read) if names else None for file in files]


def _yolo_names(listing: str, read: Callable[[str], str]) -> dict[int, str]:
    try:
        stated = parse_yaml(read(listing))
        names = stated["names"]
        return {
            int(number): str(name) for number, name in (names.items() if isinstance(names, dict) else enumerate(names))
        }
    except (OSError, KeyError, ValueError, TypeError):
        return {}


def _yolo_class(file: str, names: Mapping[int, str], read: Callable[[str], str]) -> str | None:
    parts = list(PurePosixPath(file).parts)
    if "images" not in parts:
        return None
    parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    try:
        number = read(str(PurePosixPath(*parts).with_suffix(".txt"))).split()[0]
        return names[int(number)].lower()
    except (OSError, ValueError, IndexError, KeyError):
        return None


def _below_splits(parts: Sequence[str]) -> Sequence[str]:
    while len(parts) > 1 and _SPLIT.fullmatch(parts[0]):
        parts = parts[1:]
    return parts
