"""Folders of images and videos, searched recursively; and lone files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from ferkit.data.media import HEAD, is_media, is_video
from ferkit.data.sources.classes import class_folders, yolo_classes
from ferkit.data.sources.contents import Sources
from ferkit.data.sources.picture import Picture
from ferkit.data.sources.rules import SourceRules
from ferkit.data.sources.tree import is_hidden, natural_key
from ferkit.data.sources.video import Video


def open_folder(root: Path, rules: SourceRules) -> Sources:
    """List the images and videos under ``root`` in natural order; class folders right below it label what they hold."""
    files = list(_files(root, set()))
    names = [file.relative_to(root) for file in files]
    yolo = yolo_classes(root, files)
    labels = class_folders([name.parts for name in names]) if yolo is None else yolo
    found = [
        rules.apply(Picture(str(file), label), name.as_posix())
        for file, name, label in zip(files, names, labels, strict=True)
    ]
    where = "class folders" if yolo is None else "YOLO's label files"
    return replace(_parted(found, rules), labels_from=where if any(labels) else "")


def open_file(path: Path, rules: SourceRules) -> Sources:
    """Take a lone file for a video by its suffix or content and else, whatever it is called, for an image."""
    return _parted([rules.apply(Picture(str(path)), path.as_posix())], rules)


def _parted(found: Iterable[Picture], rules: SourceRules) -> Sources:
    pictures: list[Picture] = []
    videos: list[Video] = []
    for file in found:
        if is_video(file.source):
            videos.append(Video(file.source, file.label, file.identity, rules.fps))
        else:
            pictures.append(file)
    return Sources(pictures, videos)


def _files(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Yield the files to read under ``folder`` in natural order, each real folder once (links may run in circles)."""
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    with os.scandir(folder) as listing:
        entries = [entry for entry in listing if not is_hidden([entry.name])]
    for entry in sorted(entries, key=lambda entry: natural_key(entry.name)):
        # Path's is_dir says no to a link that points at itself; that of the entry raises.
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and path.is_dir()):
            yield from _files(path, seen)
        elif _is_wanted(entry):
            yield path


def _is_wanted(entry: os.DirEntry[str]) -> bool:
    # A link that leads nowhere, and what is no file but called like a photo, are kept, to be reported as unreadable.
    return is_media(entry.name, _head(Path(entry.path)))


def _head(path: Path) -> bytes | None:
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return None
