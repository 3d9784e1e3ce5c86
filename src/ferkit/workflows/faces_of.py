"""Pictures in, batches of aligned faces out: the one way by which every verb gets its faces.

A picture is either a face crop already (resized, taken as it is) or a photo (searched for faces, each brought onto the
template). What becomes of a picture that shows no face or cannot be read is decided here and nowhere else: it is listed
as a `Problem` of its batch and the work goes on; only when nothing at all is left is that an error (`require_faces`).

A face set is a stream of faces as well, so that `open_faces` takes whatever a user names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ferkit._version import __version__
from ferkit.data.face_set import FaceSet, is_face_set
from ferkit.data.faces import Face, crop_sha256
from ferkit.data.sources import Picture, looks_aligned, open_sources
from ferkit.errors import InputError, MissingPathError, NoFaceError, NoImagesError
from ferkit.workflows import FACES, MIN_FACE
from ferkit.workflows.reading import Decoded, grouped, read_ahead, read_crop, read_photo

if TYPE_CHECKING:
    from ferkit.faces.detect import Detections, FaceDetector
    from ferkit.progress import Progress

__all__ = [
    "MIN_FACE",
    "NO_FACE",
    "FaceBatch",
    "FaceStream",
    "PictureStream",
    "Problem",
    "SetStream",
    "open_faces",
    "open_pictures",
    "require_default_faces",
    "require_faces",
    "source_paths",
    "split_problems",
]

Pixels = NDArray[np.uint8]

NO_FACE = "no face"
"""The problem of a picture that could be read and shows nobody."""

_PHOTOS_A_BATCH, _CROPS_A_BATCH, _ROWS_A_BATCH = 16, 256, 1024
_PHOTOS_AHEAD, _CROPS_AHEAD = 12, 256


class Problem(NamedTuple):
    """A picture that gave no face, and why."""

    source: str
    what: str


@dataclass(frozen=True)
class FaceBatch:
    """The faces of a few consecutive pictures (or rows of a face set).

    Attributes:
        crops: (n, 128, 128, 3) uint8 RGB.
        faces: one entry per crop; those of one picture are numbered from 1, left to right.
        pictures: how many pictures the batch covers, those without a face included.
        problems: those of them that gave no face.
    """

    crops: Pixels
    faces: list[Face]
    pictures: int
    problems: list[Problem]


class FaceStream(Protocol):
    """Faces in a fixed order, from any batch on."""

    @property
    def total(self) -> int:
        """Number of pictures (or rows) to work through."""

    @property
    def fingerprint(self) -> str:
        """Digest of everything that decides which faces come out; another job has another one."""

    def batches(self, start: int = 0) -> Iterator[FaceBatch]:
        """Yield the batches from picture ``start`` on.

        Where ``start`` is the end of a batch of an earlier run, these are the batches that followed it there.
        """


def source_paths(sources: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return what a caller gave as a list of paths; a lone path need not be wrapped."""
    return [Path(source) for source in ([sources] if isinstance(sources, str | Path) else sources)]


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
    sources: Sequence[Path], *, aligned: bool | None, device: str | None, min_face: float, progress: Progress
) -> FaceStream:
    """Open what the user named: one face set, or pictures.

    Raises:
        MissingPathError, NoImagesError: as `open_sources`.
        SetError: the face set is damaged.
        InputError: a face set among other sources.
    """
    sets = [source for source in sources if is_face_set(source)]
    if not sets:
        return open_pictures(sources, aligned=aligned, device=device, min_face=min_face, progress=progress)
    if len(sources) > 1:
        raise InputError(f"{str(sets[0])!r} is a face set; give it alone, without other sources")
    return SetStream(FaceSet.open(sets[0]))


def open_pictures(
    sources: Sequence[Path], *, aligned: bool | None, device: str | None, min_face: float, progress: Progress
) -> PictureStream:
    """Open photos or face crops; ``aligned=None`` looks at the first pictures and says what it takes them for.

    Raises:
        MissingPathError, NoImagesError, InputError: as `open_sources`.
    """
    pictures = open_sources(sources)
    if aligned is None:
        aligned = looks_aligned(pictures)
        if aligned:
            progress.say("small, square and alike: taken as face crops (--detect searches them for faces)")
        else:
            progress.say("searching for faces (--aligned takes the pictures as face crops)")
    return PictureStream(pictures, aligned, device, min_face)


@dataclass(frozen=True)
class SetStream:
    """The rows of a face set."""

    face_set: FaceSet

    @property
    def total(self) -> int:
        """Number of faces."""
        return len(self.face_set)

    @property
    def fingerprint(self) -> str:
        """Digest of the places, sizes and times of the face set's files."""
        files = sorted(path for path in self.face_set.path.iterdir() if path.is_file())
        return _digest(map(_stamp, files))

    def batches(self, start: int = 0) -> Iterator[FaceBatch]:
        """Yield the rows from ``start`` on."""
        for first in range(start, self.total, _ROWS_A_BATCH):
            rows = range(first, min(first + _ROWS_A_BATCH, self.total))
            yield FaceBatch(self.face_set.crops(rows), [self.face_set.face(row) for row in rows], len(rows), [])


@dataclass(frozen=True)
class PictureStream:
    """The faces of pictures: found and aligned, or, where the pictures are crops already, taken as they are."""

    pictures: Sequence[Picture]
    aligned: bool
    device: str | None
    min_face: float

    @property
    def total(self) -> int:
        """Number of pictures."""
        return len(self.pictures)

    @property
    def fingerprint(self) -> str:
        """Digest of every picture's place, of its file's size and time, and of the settings."""
        settings = f"ferkit {__version__} aligned={self.aligned} min_face={self.min_face}"
        return _digest([settings, *_picture_stamps(self.pictures)])

    def batches(self, start: int = 0) -> Iterator[FaceBatch]:
        """Yield the faces from picture ``start`` on; pictures are decoded on threads while others are searched."""
        if self.aligned:
            decoded = read_ahead(self.pictures, start, read_crop, _CROPS_AHEAD)
            return map(_crop_batch, grouped(decoded, _CROPS_A_BATCH))
        decoded = read_ahead(self.pictures, start, read_photo, _PHOTOS_AHEAD)
        search = partial(_photo_batch, detector=_detector(self.device, self.min_face))
        return map(search, grouped(decoded, _PHOTOS_A_BATCH))


def split_problems(problems: Iterable[tuple[str, str]]) -> tuple[list[str], list[tuple[str, str]]]:
    """Part the pictures that gave no face into those that show none, and (source, why) of those that cannot be read."""
    faceless: list[str] = []
    unreadable: list[tuple[str, str]] = []
    for source, what in problems:
        if what == NO_FACE:
            faceless.append(source)
        else:
            unreadable.append((source, what))
    return faceless, unreadable


def require_faces(faces: int, problems: Sequence[tuple[str, str]], sources: Sequence[Path]) -> None:
    """Raise when a whole job met no face.

    Raises:
        NoFaceError: pictures could be read, none shows a face.
        NoImagesError: not one picture could be read.
    """
    if faces:
        return
    where = ", ".join(repr(str(source)) for source in sources)
    faceless, unreadable = split_problems(problems)
    if faceless:
        count = "the picture" if len(faceless) == 1 else f"any of the {len(faceless):,} readable pictures"
        raise NoFaceError(f"no face was found in {count} of {where}; give --aligned if they are face crops already")
    if unreadable:
        source, why = unreadable[0]
        raise NoImagesError(f"no picture of {where} can be read (the first of {len(unreadable):,}: {source}: {why})")
    raise NoFaceError(f"there is no face in {where}")


def _crop_batch(group: list[Decoded]) -> FaceBatch:
    readable = [item for item in group if item.problem is None]
    faces = [_face(item.picture, 1, item.image) for item in readable]
    problems = [Problem(item.picture.source, item.problem) for item in group if item.problem is not None]
    return FaceBatch(_stacked([item.image for item in readable]), faces, len(group), problems)


def _photo_batch(group: list[Decoded], detector: FaceDetector) -> FaceBatch:
    from ferkit.faces.align import align_faces

    detections = iter(detector.detect([item.image for item in group if item.problem is None]))
    crops: list[Pixels] = []
    faces: list[Face] = []
    problems = []
    for item in group:
        if item.problem is not None:
            problems.append(Problem(item.picture.source, item.problem))
            continue
        found = next(detections)
        if not len(found):
            problems.append(Problem(item.picture.source, NO_FACE))
        order = np.argsort(found.boxes[:, 0] + found.boxes[:, 2], kind="stable")  # left to right
        cut = align_faces(item.image, found.landmarks[order])
        crops += list(cut)
        faces += [
            _face(item.picture, number, crop, found, int(row), item.scale)
            for number, (row, crop) in enumerate(zip(order, cut, strict=True), 1)
        ]
    return FaceBatch(_stacked(crops), faces, len(group), problems)


def _stacked(crops: Sequence[Pixels]) -> Pixels:
    from ferkit.faces.template import CROP_SIZE

    return np.stack(crops) if crops else np.empty((0, CROP_SIZE, CROP_SIZE, 3), np.uint8)


def _face(
    picture: Picture, number: int, crop: Pixels, found: Detections | None = None, row: int = 0, scale: int = 1
) -> Face:
    """Describe a crop; with ``found``, what was measured on it comes along, in pixels of the original."""
    box = landmarks = score = None
    if found is not None:
        left, top, right, bottom = (_original(value, scale) for value in found.boxes[row].tolist())
        box = (left, top, right, bottom)
        landmarks = tuple(_original(value, scale) for value in found.landmarks[row].ravel().tolist())
        score = float(found.scores[row])
    return Face(
        source=picture.source,
        face=number,
        clip=None,
        identity=picture.identity,
        time_s=None,
        label=picture.label,
        box=box,
        landmarks=landmarks,
        score=score,
        sha256=crop_sha256(crop),
    )


def _original(coordinate: float, scale: int) -> float:
    """A coordinate of the decoded photo in pixels of the original; both count from the first pixel's centre."""
    return (coordinate + 0.5) * scale - 0.5


def _detector(device: str | None, min_face: float) -> FaceDetector:
    from ferkit.faces.detect import FaceDetector
    from ferkit.ops.device import pick_device

    return FaceDetector(device=str(pick_device(device)), min_face=min_face)


def _picture_stamps(pictures: Iterable[Picture]) -> Iterator[str]:
    """Each picture's place, and once for each file its size and time."""
    seen = None
    for picture in pictures:
        file = picture.source if picture.fetch is None else picture.source.rpartition("#")[0]
        yield picture.source if file == seen else picture.source + _stamp(Path(file))
        seen = file


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:  # a link that leads nowhere; reading it will say so
        return f"{path} missing"
    return f"{path} {status.st_size} {status.st_mtime_ns}"


def _digest(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()
