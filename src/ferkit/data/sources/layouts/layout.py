"""What the layouts share: the entry of the table, and one's way in a data set's folders."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from ferkit.data.expressions import expression
from ferkit.data.media import IMAGE_SUFFIXES
from ferkit.data.sources.picture import Chain, LazyPictures, Picture
from ferkit.data.sources.tree import is_hidden, natural_key

Parts = Mapping[str, Sequence[Picture]]
"""The pictures of each split that is there, in the order to read them; under "" where the data set has no splits."""

_SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_LAST_NUMBER = re.compile(r"(\d+)\D*$")


@dataclass(frozen=True)
class Layout:
    """How one data set lies on disk."""

    title: str  # what its authors call it
    home: str  # where it comes from: the official page or the paper
    # lists its pictures below an absolute folder; `MissingPartError` if they are not there
    read: Callable[[Path], Parts]
    mark: str  # what a folder to read holds, in words
    splits: tuple[str, ...] = ()  # the names of its official splits; ``name:split`` opens one of them
    # regular expression of how a picture's path begins below the folder to read, by which a copy is known; None where
    # class folders say the same
    path: str | None = None


class MissingPartError(Exception):
    """A folder lacks what the data set has; says what, and where it was looked for."""

    def __init__(self, root: Path, part: str) -> None:
        self.root, self.part = root, part


def first_present(root: Path, *places: str) -> Path | None:
    """Return the first of ``places`` below ``root`` that exists."""
    return next((root / place for place in places if (root / place).exists()), None)


def require_path(root: Path, *places: str, part: str = "") -> Path:
    """Return the first of ``places`` that exists; `MissingPartError`, in the words of ``part``, where none does."""
    present = first_present(root, *places)
    if present is None:
        raise MissingPartError(root, part or " or ".join(places))
    return present


def path_below(folder: Path | str, name: str) -> str:
    """Return the path of the file that an annotation names; `ValueError` if it lies outside ``folder``."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if not name or parts.is_absolute() or ".." in parts.parts:
        raise ValueError(f"it names the picture {name!r}, which lies outside the data set")
    return os.path.join(folder, *parts.parts)  # noqa: PTH118 (hundreds of thousands: a Path for each is slow)


def image_names(folder: Path) -> list[str]:
    """List the image files right below ``folder`` in natural order, without hidden ones."""
    return next(images_by_folder(folder))[1]


def images_by_folder(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the path below ``root`` of it and of each folder in it, with the names of the images right there.

    Folders and names are in natural order, without hidden ones; links to folders are followed, in circles once.
    """
    return _images_by_folder(root, "", set())


def _images_by_folder(root: Path, below: str, seen: set[str]) -> Iterator[tuple[str, list[str]]]:
    if (place := os.path.realpath(root / below)) in seen:
        return
    seen.add(place)
    with os.scandir(root / below) as listing:
        entries = [entry for entry in listing if not is_hidden([entry.name])]
    # Path's is_dir says no to a link that points at itself; that of the entry raises.
    folders = {entry.name for entry in entries if Path(entry.path).is_dir()}
    files = (entry.name for entry in entries if entry.name not in folders)
    yield below, _ordered(name for name in files if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES)  # noqa: PTH122
    for name in _ordered(folders):
        yield from _images_by_folder(root, f"{below}/{name}".lstrip("/"), seen)


def _ordered(names: Iterable[str]) -> list[str]:
    return sorted(names, key=natural_key)


def pictures_by_path(
    root: Path,
    pattern: str,
    *,
    label: Callable[[str], str | None] = expression,
    identity: Callable[[str], str] = str,
    fps: Callable[[str], float] | None = None,
) -> Chain:
    """List the pictures below ``root`` whose path there, ``/`` between folders, is as a regular expression says.

    Args:
        root: the folder.
        pattern: of the whole path. Its groups ``label`` and ``identity`` are what it says of the picture; with a group
            ``clip``, the pictures of a folder are the frames of a clip.
        label: the expression of what ``label`` matches.
        identity: the person of what ``identity`` matches.
        fps: at how many a second the last number in their names counts the frames, by what ``clip`` matches; None
            where that is not known.
    """
    whole = re.compile(pattern)

    def make(folder: str, paths: Sequence[str], index: int) -> Picture:
        match = whole.fullmatch(paths[index])
        said = {} if match is None else {name: text for name, text in match.groupdict().items() if text is not None}
        return Picture(
            os.path.join(root, paths[index]),  # noqa: PTH118 (hundreds of thousands)
            label=label(said["label"]) if "label" in said else None,
            identity=identity(said["identity"]) if "identity" in said else None,
            clip=folder if "clip" in said else None,
            time_s=_frame_time(paths, index, fps(said["clip"])) if fps else None,
        )

    parts = []
    for folder, names in images_by_folder(root):
        paths = [path for name in names if whole.fullmatch(path := f"{folder}/{name}".lstrip("/"))]
        parts.append(LazyPictures(range(len(paths)), partial(make, str(root / folder), paths)))
    return Chain(parts)


def _frame_time(names: Sequence[str], index: int, fps: float) -> float | None:
    """Return the seconds from the first frame of a clip to one of them, by their numbers; None without numbers."""
    number, first = frame_number(names[index]), frame_number(names[0])
    return None if number is None or first is None else (number - first) / fps


def class_tree(root: Path, codes: Mapping[int, str]) -> Parts:
    """Read a copy of a data set as folders of class numbers below those of its splits; {} where there is none."""
    parts: dict[str, list[Picture]] = {}
    for folder, names in images_by_folder(root):
        *_, split, label = ("", *folder.casefold().split("/"))
        if label.isdecimal() and int(label) in codes and split in _SPLIT_NAMES:
            pictures = [Picture(str(root / folder / name), label=codes[int(label)]) for name in names]
            parts.setdefault(_SPLIT_NAMES[split], []).extend(pictures)
    return parts


def frame_number(name: str) -> int | None:
    """Return the last number of a file's name without its suffix: 12 of ``S005_001_00000012.png``."""
    match = _LAST_NUMBER.search(name.rpartition(".")[0])
    return int(match[1]) if match else None
