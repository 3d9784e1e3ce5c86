"""Finding one's way in a data set's folders."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from ferkit.data.media import IMAGE_SUFFIXES
from ferkit.data.sources.layouts.layout import Parts
from ferkit.data.sources.picture import Picture
from ferkit.data.sources.tree import is_hidden, natural_key
from ferkit.errors import InputError

_SPLIT_NAMES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_LAST_NUMBER = re.compile(r"(\d+)\D*$")


def wrong_folder(root: Path, title: str, looked_for: str, name: str) -> InputError:
    """Return the error for a folder that is not of this layout; ``name`` is what the folder to name holds."""
    return InputError(f"no {looked_for} below {str(root)!r}, which {title} has; name the folder that holds {name}")


def first_present(root: Path, places: Sequence[str]) -> Path | None:
    """Return the first of ``places`` below ``root`` that exists; "" is ``root`` itself."""
    return next((root / place for place in places if (root / place).exists()), None)


def joined(folder: Path | str, name: str) -> str:
    """Return the path of the file that an annotation names; `ValueError` if it lies outside ``folder``."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if not name or parts.is_absolute() or ".." in parts.parts:
        raise ValueError(f"it names the picture {name!r}, which lies outside the data set")
    return os.path.join(folder, *parts.parts)  # noqa: PTH118 (hundreds of thousands: a Path for each is slow)


def folder_names(folder: Path) -> list[str]:
    """List the folders right below ``folder`` in natural order, without hidden ones."""
    with os.scandir(folder) as entries:
        return _ordered(entry.name for entry in entries if _is_folder(entry))


def image_names(folder: Path) -> list[str]:
    """List the image files right below ``folder`` in natural order, without hidden ones."""
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not _is_folder(entry)]
    return _ordered(name for name in names if os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES)  # noqa: PTH122


def pictures_below(root: Path) -> list[Path]:
    """List the image files below ``root`` at any depth in natural order, without hidden ones."""
    found = [Path(folder, name) for folder, _, names in os.walk(root) for name in names]
    wanted = [file for file in found if file.suffix.lower() in IMAGE_SUFFIXES]
    parts = [(file, file.relative_to(root).parts) for file in wanted]
    shown = [(file, names) for file, names in parts if not is_hidden(names)]
    return [file for file, _ in sorted(shown, key=lambda one: [natural_key(name) for name in one[1]])]


def class_tree(root: Path, codes: Mapping[int, str]) -> Parts:
    """Read a copy of a data set as folders of class numbers below those of its splits; {} where there is none."""
    parts: dict[str, list[Picture]] = {}
    for file in pictures_below(root):
        label, split = file.parent.name, file.parent.parent.name.casefold()
        if label.isdecimal() and int(label) in codes and split in _SPLIT_NAMES:
            parts.setdefault(_SPLIT_NAMES[split], []).append(Picture(str(file), label=codes[int(label)]))
    return parts


def frame_number(name: str) -> int | None:
    """Return the last number of a file's name without its suffix: 12 of ``S005_001_00000012.png``."""
    found = _LAST_NUMBER.search(name.rpartition(".")[0])
    return int(found[1]) if found else None


def frame_time(names: Sequence[str], index: int, fps: float) -> float | None:
    """Return the seconds from the first frame of a clip to one of them, by their numbers; None without numbers."""
    number, first = frame_number(names[index]), frame_number(names[0])
    return None if number is None or first is None else (number - first) / fps


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # Path's is_dir says no to a link that points at itself; that of the entry raises.
    return entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and Path(entry.path).is_dir())


def _ordered(names: Iterable[str]) -> list[str]:
    return sorted((name for name in names if not name.startswith(".")), key=natural_key)
