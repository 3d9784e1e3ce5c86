"""Sources: what a user names on the command line, as one sequence of pictures and one of videos."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TypeVar

from ferkit.data.face_set import is_face_set, sets_below
from ferkit.data.file_state import file_state
from ferkit.data.media import IMAGE_SUFFIXES, VIDEO_SUFFIXES, is_video
from ferkit.data.sources.archives import open_tar, open_zip, refuse_compressed
from ferkit.data.sources.contents import Sources
from ferkit.data.sources.folder import open_file, open_folder
from ferkit.data.sources.layouts import open_layout
from ferkit.data.sources.parquet import open_parquet
from ferkit.data.sources.patterns import expand_pattern
from ferkit.data.sources.picture import Chain, Container, Picture, Pictures
from ferkit.data.sources.remote import find_remote, open_remote
from ferkit.data.sources.rules import SourceRules, apply_rules
from ferkit.data.sources.tables import open_csv, open_jsonl, open_list
from ferkit.data.sources.tree import is_there
from ferkit.data.sources.video import Video, frame_picture
from ferkit.data.stores import remote_url
from ferkit.errors import InputError, MissingPathError, NoImagesError, UnreadableImageError

__all__ = ["OPENERS", "Picture", "SourceRules", "Sources", "Video", "find_picture", "first_sizes", "open_sources"]

# fmt: off
OPENERS: Mapping[str, Callable[[Path, SourceRules], Sources]] = {
    ".parquet": open_parquet,
    ".csv": open_csv, ".tsv": open_csv, ".jsonl": open_jsonl,
    ".txt": open_list, ".lst": open_list,
    ".zip": open_zip,
    ".tar": open_tar,
    ".gz": refuse_compressed, ".tgz": refuse_compressed, ".bz2": refuse_compressed, ".xz": refuse_compressed,
    ".zst": refuse_compressed, ".7z": refuse_compressed,
}
"""How files that hold or name pictures are opened, by their suffix."""
# fmt: on

Item = TypeVar("Item", Picture, Video)

_SAMPLE = 64
_HUB_SHARD = re.compile(r"-\d{5}-of-\d{5}")
_OPEN_CONTAINERS = 8


def open_sources(paths: Sequence[Path], rules: SourceRules | None = None) -> Sources:
    """List the pictures and videos of all that a user named, in the given order.

    A folder is searched recursively for images and videos, in natural order ("2" before "10"), without hidden ones; two
    or more folders of them right below it, and no file beside them, label what they hold (the layout of torchvision's
    ImageFolder). Files of the kinds in `OPENERS` are read for the pictures that they hold or name; any other file is
    taken for an image, or by its suffix for a video. Globs and brace patterns stand for the files that they match.

    What a table or archive holds is read when it is asked for. A row or member that is damaged is a picture all the
    same; reading it raises `UnreadableImageError`.

    Args:
        paths: what the user named.
        rules: how to read it; None reads what is there.

    Raises:
        MissingPathError: a path does not exist.
        NoImagesError: there is no image or video in any of them.
        InputError: a file cannot be read as what its suffix says, a folder cannot be listed, or a glob matches nothing.
        UnknownLayoutError: the rules name a layout that ferkit does not know.
    """
    rules = rules or SourceRules()
    found = [each for named in paths for each in _open_named(Path(named), rules)]
    sources = _once(found)
    if not sources.pictures and not sources.videos:
        raise NoImagesError(_nothing_found(paths))
    return sources


def _once(found: Sequence[Sources]) -> Sources:
    """Put sources together, each file once however often it is named."""
    where = ", ".join(dict.fromkeys(each.labels_from for each in found if each.labels_from))
    videos = [clip for each in found for clip in each.videos]
    if len(found) == 1:
        return Sources(found[0].pictures, videos, where)
    seen: set[str] = set()
    total = kept = 0
    parts: list[Sequence[Picture]] = []
    for pictures in (each.pictures for each in found):
        new = pictures if isinstance(pictures, Pictures) else _unseen(pictures, seen)  # those of a table or archive
        parts.append(new)
        total, kept = total + len(pictures), kept + len(new)
    clips = _unseen(videos, seen)
    return Sources(Chain(parts), clips, where, total - kept + len(videos) - len(clips))


def _unseen(items: Sequence[Item], seen: set[str]) -> list[Item]:
    """Those whose file is not in ``seen`` yet, where they are put."""
    fresh = []
    for item in items:
        place = os.path.realpath(item.source)
        if place not in seen:
            fresh.append(item)
            seen.add(place)
    return fresh


def find_picture(source: str, rules: SourceRules | None = None, *, time_s: float | None = None) -> Picture:
    """Find a picture again by its ``source``; that of a container comes with what the container says of it.

    The last few containers stay open, so that asking for many pictures of one is quick.

    Args:
        source: as in `Picture`: a path, or a container's with the place in it, or a video's with the frame's number.
        rules: those by which it was found; only the columns of parquet files matter.
        time_s: when a frame is shown in its video, so that it need not be decoded up to.

    Raises:
        MissingPathError: the file is gone.
        InputError: its container cannot be read, or holds no such picture any more.
    """
    if (remote := find_remote(source)) is not None:
        return remote
    path, _, place = source.rpartition("#")
    if is_there(Path(source)):
        return Picture(source)
    if not path or not is_there(Path(path)):
        raise MissingPathError(source, "it was there when it was first read; name the place where it is now")
    try:
        return _find(Path(path), place, rules or SourceRules(), time_s)
    except KeyError as error:
        raise InputError(f"{path!r} holds no picture {place!r} any more; read its faces again") from error


def first_sizes(pictures: Iterable[Picture]) -> Iterator[tuple[int, int]]:
    """Yield width and height, by their headers, of the first 64 pictures that can be read."""

    def sizes() -> Iterator[tuple[int, int]]:
        for picture in pictures:
            with suppress(UnreadableImageError):
                yield picture.size()

    return islice(sizes(), _SAMPLE)


def _open_named(named: Path, rules: SourceRules) -> Iterator[Sources]:
    """Open what a name means: files, folders, or the place of one picture as ferkit prints it, ``clip.mp4#209``."""
    if (url := remote_url(named)) is not None:
        yield open_remote(url, rules)
        return
    container, _, place = str(named).rpartition("#")
    if container and place and not is_there(named) and is_there(Path(container)):
        yield Sources([find_picture(f"{Path(container).resolve()}#{place}", rules)])
        return
    for path in expand_pattern(named):
        yield _open(path, rules)


def _open(path: Path, rules: SourceRules) -> Sources:
    if rules.layout is not None:
        return Sources(apply_rules(open_layout(rules.layout, path.resolve()), path.resolve(), rules))
    try:
        if path.is_dir():
            sources = open_folder(path.resolve(), rules)
            if sources.pictures or sources.videos:
                return sources
            # A data set as the Hugging Face hub lays it out: data/train-00000-of-00002.parquet
            shards = sorted(file for file in path.resolve().rglob("*.parquet") if _HUB_SHARD.search(file.name))
            opened = [open_parquet(shard, rules) for shard in shards]
            pictures = Chain([each.pictures for each in opened])
            return Sources(pictures, (), opened[0].labels_from) if opened else sources
    except OSError as error:
        raise InputError(f"cannot look into {str(path)!r}: {error.strerror}; check its permissions") from error
    return OPENERS.get(path.suffix.lower(), open_file)(path.parent.resolve() / path.name, rules)


def _find(path: Path, place: str, rules: SourceRules, time_s: float | None) -> Picture:
    if place.isdecimal() and is_video(path):
        return frame_picture(path, int(place), time_s)
    opened = _open_container(path, file_state(path), tuple(rules.columns.items()))
    return opened.find(place)


@lru_cache(_OPEN_CONTAINERS)
def _open_container(path: Path, state: tuple[int, ...], columns: tuple[tuple[str, str], ...]) -> Container:
    """Open a container; another ``state`` means that the file is another one by now."""
    pictures = OPENERS[path.suffix.lower()](path, SourceRules(columns=dict(columns))).pictures
    if not isinstance(pictures, Container):
        raise KeyError(path)
    return pictures


def _nothing_found(paths: Sequence[Path]) -> str:
    for path in map(Path, paths):
        if is_face_set(path):
            return f"{str(path)!r} is a face set, and pictures or videos are wanted here; name those"
        if sets := sets_below(path):
            return sets
    named = ", ".join(repr(str(path)) for path in paths)
    held = sorted({suffix for path in paths for suffix in _container_suffixes(Path(path))})
    if held:
        kinds = " and ".join(suffix.removeprefix(".") for suffix in held)
        return f"there is no image or video in {named}, but {kinds} files, which are read only when named themselves"
    looked_for = ", ".join([*sorted(IMAGE_SUFFIXES), *sorted(VIDEO_SUFFIXES)])
    return f"there is no image or video in {named}; looked for {looked_for}"


def _container_suffixes(folder: Path) -> Iterator[str]:
    for file in folder.rglob("*") if folder.is_dir() else ():
        suffix = file.suffix.lower()
        if OPENERS.get(suffix, open_file) not in (open_file, open_list, refuse_compressed):  # a text may be anything
            yield suffix
