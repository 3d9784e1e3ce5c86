"""Folders of images and videos, searched recursively; and lone files."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath

from ferkit.data.media import HEAD, is_archive, is_media, is_video
from ferkit.data.sources.classes import folder_labels
from ferkit.data.sources.contents import Sources
from ferkit.data.sources.layouts import LAYOUTS, open_layout
from ferkit.data.sources.picture import Picture
from ferkit.data.sources.rules import SourceRules, apply_rules
from ferkit.data.sources.tables import open_csv, open_jsonl
from ferkit.data.sources.tree import is_hidden, natural_key
from ferkit.data.sources.video import Video
from ferkit.errors import InputError

_TABLES = {".csv": open_csv, ".tsv": open_csv, ".jsonl": open_jsonl}
_LONGEST_TEXT = 1 << 22


def open_folder(root: Path, rules: SourceRules) -> Sources:
    """List the images and videos under ``root`` in natural order.

    A copy of a known data set is read as that, at any depth. Else labels are those of YOLO's files, of
    class folders, or of tables in ``root`` or right below it, the first of these that there are.
    """
    files = list(_walk(root, set()))
    if all(is_archive(file.name) for file in files):
        return Sources()
    if (known := _known_layout(root, files, rules)) is not None:
        return known
    names = [file.relative_to(root) for file in files]
    paths = [name.as_posix() for name in names]
    listings = _beside(root, ("*.yaml", "*.yml"))
    labels, where = folder_labels(paths, [name.parts for name in names], listings, partial(_text, root))
    found = [Picture(str(file), label) for file, label in zip(files, labels, strict=True)]
    if not any(labels):
        found, where = _described_by_tables(root, found, rules)
    found = [rules.apply(picture, path) for picture, path in zip(found, paths, strict=True)]
    return replace(_split_videos(found, rules), labels_from=where if any(picture.label for picture in found) else "")


def open_file(path: Path, rules: SourceRules) -> Sources:
    """Take a lone file for a video by its suffix or content and else, whatever it is called, for an image."""
    return _split_videos([rules.apply(Picture(str(path)), path.as_posix())], rules)


def _known_layout(root: Path, files: Sequence[Path], rules: SourceRules) -> Sources | None:
    """Read files as the data set that their paths look like; None where most of the pictures are none of its."""
    first = next((file for file in files if not is_video(file)), None)
    if first is None or rules.label_from is not None:
        return None
    for key, layout in LAYOUTS.items():
        path = first.relative_to(root).as_posix()
        match = layout.path and re.match(rf"(?P<folder>(.+?/)?){layout.path}", path)
        if not match:
            continue
        try:
            pictures = open_layout(key, root / match["folder"])
        except InputError:
            continue
        found = _split_videos([Picture(str(file)) for file in files], rules)
        if 2 * len(pictures) >= (whole := len(found.pictures)):  # RAF-DB holds each face twice
            part = f", which knows {len(pictures):,} of {whole:,} pictures" if len(pictures) < whole else ""
            return Sources(apply_rules(pictures, root, rules), found.videos, f"layout {key}{part}")
    return None


def _described_by_tables(root: Path, pictures: list[Picture], rules: SourceRules) -> tuple[list[Picture], str]:
    """Return the pictures as the tables beside them describe them, and which tables those are."""
    known: dict[str, Picture] = {}
    used = []
    for name in _beside(root, [f"*{suffix}" for suffix in _TABLES]) if pictures else ():
        try:
            table = _TABLES[PurePosixPath(name).suffix](root / name, rules)
        except InputError:  # no table of pictures, or one of other pictures
            continue
        here = {picture.source: picture for picture in table.pictures if picture.label is not None}
        if table.labels_from and here:
            used.append(f"{table.labels_from} of {name}")
        known = here | known
    return [known.get(picture.source, picture) for picture in pictures], ", ".join(used)


def _beside(root: Path, patterns: Sequence[str]) -> list[str]:
    """Return the paths below ``root`` of files that match, in it or right below it."""
    found = [path for pattern in patterns for path in (*root.glob(pattern), *root.glob(f"*/{pattern}"))]
    return sorted(path.relative_to(root).as_posix() for path in found if path.is_file())


def _text(root: Path, name: str) -> str:
    path = root / name
    if not path.is_file():
        raise FileNotFoundError(name)
    with path.open(encoding="utf-8") as file:
        return file.read(_LONGEST_TEXT)


def _split_videos(found: Iterable[Picture], rules: SourceRules) -> Sources:
    pictures: list[Picture] = []
    videos: list[Video] = []
    for file in found:
        if is_video(file.source):
            videos.append(Video(file.source, file.label, file.identity, rules.fps))
        else:
            pictures.append(file)
    return Sources(pictures, videos)


def _walk(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
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
            yield from _walk(path, seen)
        elif is_archive(entry.name) or is_media(entry.name, _head(path)):
            yield path  # also a link that leads nowhere, or no file but called like a photo, to be reported


def _head(path: Path) -> bytes | None:
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return None
