"""Sources in, batches of aligned faces out: the one way by which every verb gets its faces.

A picture is either a face crop already (resized, taken as it is) or a photo (searched for faces, each brought onto the
template). A face set is a stream of faces as well, so that `open_faces` takes whatever a user names. Only when nothing
at all is left is that an error (`require_faces`).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from ferkit.data.face_set import FaceSet, fetch_face_set, is_face_set
from ferkit.data.filters import MEASURES
from ferkit.data.sources import SourceRules, Sources, first_sizes, open_sources
from ferkit.data.stores import remote_url
from ferkit.errors import InputError, MissingPathError, NoFaceError, NoImagesError
from ferkit.faces.template import CROP_SIZE
from ferkit.pipeline import FACES
from ferkit.pipeline.decoding import is_crop, prefetch
from ferkit.pipeline.face_finder import FILTERED, NO_FACE, Bookmark, FaceBatch, filter_of
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.fingerprint import digest
from ferkit.pipeline.source_stream import SourceStream
from ferkit.progress import Progress

_ROWS_A_BATCH = 512
_LABELS_SAMPLED, _LABELS_SHOWN = 200, 12


class FaceStream(Protocol):
    """Faces in a fixed order, from any batch on."""

    @property
    def crop_size(self) -> int:
        """Side of the crops in pixels."""

    @property
    def total(self) -> float:
        """Steps to work through."""

    @property
    def unit(self) -> str:
        """What a step is: ``pictures``, ``pictures and frames``, ``faces`` or ``s of video``."""

    def steps(self, pictures_done: int, state: Bookmark) -> float:
        """Steps that are done at a place in the stream."""

    def batches(self, done: int = 0, state: Bookmark = None) -> Iterator[FaceBatch]:
        """Yield the batches from a place on: ``done`` pictures are behind us, and ``state`` came with the last of them.

        Where that is the end of a batch of an earlier run, these are the batches that followed it there.
        """


class Problems(NamedTuple):
    """Pictures that gave no face."""

    faceless: list[str]  # sources that show no face
    filtered: list[str]  # sources all of whose faces were left out by a filter
    unreadable: list[tuple[str, str]]  # (source, why) of those that cannot be read


def source_paths(sources: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return what a caller gave as a list of paths, face sets in a store fetched; a lone path need not be wrapped."""
    return [fetch_face_set(Path(path)) for path in ([sources] if isinstance(sources, str | Path) else sources)]


def absolute_paths(paths: Sequence[Path]) -> list[Path]:
    """Return paths as a process in another folder finds them; addresses of stores stay what they are."""
    return [path if remote_url(path) else path.absolute() for path in paths]


def require_default_faces(paths: Sequence[Path], verb: str) -> None:
    """Say more than "missing" where the user named nothing and the default is not there.

    Raises:
        MissingPathError: ``paths`` is the default folder, and it does not exist.
    """
    if paths == [Path(FACES)] and not paths[0].exists():
        raise MissingPathError(
            FACES, f"make it with `ferkit align PHOTOS -o faces`, or name your photos: `ferkit {verb} PHOTOS`"
        )


def open_faces(
    sources: Sequence[Path], options: FaceOptions, device: str | None, progress: Progress
) -> SourceStream | SetStream:
    """Open what the user named: one face set, or pictures and videos.

    Raises:
        MissingPathError, NoImagesError, InputError: as `open_sources`.
        SetError: the face set is damaged.
        InputError: a face set among other sources, or none of its faces passes the filters.
    """
    sets = [source for source in sources if is_face_set(source)]
    if not sets:
        return open_pictures(sources, options, device, progress)
    if len(sources) > 1:
        raise InputError(f"{str(sets[0])!r} is a face set; give it alone, without other sources, or merge them first")
    return SetStream(filtered_set(FaceSet.open(sets[0]), options, progress))


def open_pictures(
    sources: Sequence[Path], options: FaceOptions, device: str | None, progress: Progress, crop_size: int = CROP_SIZE
) -> SourceStream:
    """Open photos, face crops or videos; ``aligned=None`` takes small square pictures as crops, each for itself.

    Raises:
        MissingPathError, NoImagesError, InputError: as `open_sources`.
    """
    from ferkit.faces.choose import check_policy

    rules = SourceRules(options.layout, options.label_from, options.identity_from, options.columns, options.fps or None)
    check_policy(options.faces)
    opened = open_sources(sources, rules)
    if len(opened.pictures) + len(opened.videos) > 1:
        progress.say(_describe_labels(opened, rules))
    if opened.repeated:
        progress.say(f"{opened.repeated:,} pictures or videos are named more than once: each is taken once")
    if opened.videos:
        rate = (
            f"{rules.fps:g} frames a second (--fps 0: every frame)" if rules.fps else "every frame (--fps takes fewer)"
        )
        progress.say(f"of videos {rate}")
    if options.aligned is None and opened.pictures:
        progress.say(_what_they_are({is_crop(size) for size in first_sizes(opened.pictures)}))
    return SourceStream(opened, options.aligned, options, device, crop_size)


def _describe_labels(opened: Sources, rules: SourceRules) -> str:
    """Say which labels there are, by a sample of the pictures and videos, and where they come from."""
    step = max(1, len(opened.pictures) // _LABELS_SAMPLED)
    found = {opened.pictures[row].label for row in range(0, len(opened.pictures), step)}
    labels = sorted(label for label in found | {video.label for video in opened.videos} if label is not None)
    if not labels:
        return "no labels: no class folders, label column or layout (--label-from, --columns label=NAME, --layout)"
    where = "--label-from" if rules.label_from else f"layout {rules.layout}" if rules.layout else opened.labels_from
    shown = ", ".join(labels[:_LABELS_SHOWN]) + (", …" if len(labels) > _LABELS_SHOWN else "")
    return f"labels from {where or 'the sources'}: {shown}"


def _what_they_are(crops: set[bool]) -> str:
    if crops == {True}:
        return "small and square: taken as face crops (--detect searches them for faces)"
    if True in crops:
        return "small square pictures are taken as face crops, others searched for faces (--aligned, --detect: all)"
    return "searching for faces (--aligned takes the pictures as face crops)"


def filtered_set(faces: FaceSet, options: FaceOptions, progress: Progress) -> FaceSet:
    """Return the part of a face set that the filters leave, and say how much that is.

    Raises:
        InputError: it is nothing.
    """
    wanted = filter_of(options)
    if not wanted:
        return faces
    rows = np.flatnonzero(wanted.keep_rows(faces.columns(MEASURES)))
    if not len(rows):
        raise InputError(
            f"none of the {len(faces):,} faces of {str(faces.path)!r} passes {wanted.describe()};"
            f" see `ferkit faces info {faces.path}`"
        )
    progress.say(f"{len(rows):,} of {len(faces):,} faces pass {wanted.describe()}")
    return faces.subset(rows)


@dataclass(frozen=True)
class SetStream:
    """The rows of a face set."""

    face_set: FaceSet

    @property
    def crop_size(self) -> int:
        """Of the face set."""
        return self.face_set.size

    @property
    def total(self) -> float:
        """Number of faces."""
        return len(self.face_set)

    @property
    def unit(self) -> str:
        """What `total` counts."""
        return "faces"

    def steps(self, pictures_done: int, state: Bookmark) -> float:
        """Rows that are done."""
        return pictures_done

    @cached_property
    def listing(self) -> str:
        """Digest of the set's place and of its rows by content."""
        return digest([str(self.face_set.path), self.face_set.digest])

    def batches(self, done: int = 0, state: Bookmark = None) -> Iterator[FaceBatch]:
        """Yield the rows from ``done`` on; the next are read while one is used."""
        return prefetch(self._batches(done), ahead=1)

    def _batches(self, done: int) -> Generator[FaceBatch]:
        for first in range(done, len(self.face_set), _ROWS_A_BATCH):
            rows = range(first, min(first + _ROWS_A_BATCH, len(self.face_set)))
            yield FaceBatch(self.face_set.crops(rows), self.face_set.faces(rows), len(rows), [])


def with_progress(
    task: str, stream: FaceStream, done: int, state: Bookmark, faces: int, progress: Progress
) -> Iterator[FaceBatch]:
    """Yield a stream's batches from a place on, and tell how far they are.

    Args:
        task: what is done to them.
        stream: where they come from.
        done: pictures behind us.
        state: as `FaceStream.batches`.
        faces: how many those pictures gave.
        progress: told.
    """
    steps = stream.steps(done, state)
    if done:
        progress.say(f"going on after {steps:,.0f} of {stream.total:,.0f} {stream.unit}")
    progress.start(task, stream.total, steps, stream.unit)
    for batch in stream.batches(done, state):
        yield batch
        done, faces, before = done + batch.pictures, faces + len(batch.faces), steps
        steps = stream.steps(done, batch.state)
        progress.advance(steps - before, note=f"{faces:,} faces")


def split_problems(problems: Iterable[tuple[str, str]]) -> Problems:
    """Part the pictures that gave no face by what was wrong with them."""
    parted = Problems([], [], [])
    for source, what in problems:
        if what.startswith(NO_FACE):
            parted.faceless.append(source)
        elif what.startswith(FILTERED):
            parted.filtered.append(source)
        else:
            parted.unreadable.append((source, what))
    return parted


def require_faces(faces: int, problems: Sequence[tuple[str, str]], sources: Sequence[Path]) -> None:
    """Raise when a whole job met no face.

    Raises:
        NoFaceError: pictures could be read, none shows a face.
        NoImagesError: not one picture could be read.
    """
    if faces:
        return
    where = ", ".join(repr(str(source)) for source in sources)
    faceless, filtered, unreadable = split_problems(problems)
    if filtered:
        what = next(what for _, what in problems if what.startswith(FILTERED))
        raise NoFaceError(f"{what.removeprefix(FILTERED)} leaves out every face of {where}; ask for less")
    if faceless:
        count = "" if len(faceless) == 1 else f"any of the {len(faceless):,} readable pictures and videos of "
        raise NoFaceError(f"no face was found in {count}{where}; give --aligned if they are face crops already")
    if unreadable:
        source, why = unreadable[0]
        raise NoImagesError(f"nothing of {where} can be read (the first of {len(unreadable):,}: {source}: {why})")
    raise NoFaceError(f"there is no face in {where}")
