"""What the page of ``ferkit serve`` can ask of an embedding set; `ferkit.web` is its way to a browser."""

from __future__ import annotations

import base64
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferkit.data.faces import Face
from ferkit.data.sources import Picture, find_picture, looks_aligned
from ferkit.data.sources.video import VIDEO_SUFFIXES
from ferkit.errors import InputError, NoFaceError, UnreadableImageError
from ferkit.pipeline.decoding import Decoded, read_crop, read_photo
from ferkit.pipeline.face_finder import NO_FACE, Finder, finder_of
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.thumbnails import Thumbnails, jpeg
from ferkit.progress import Progress
from ferkit.search.searcher import Searcher

__all__ = ["Answer", "Example", "Question", "ShownFace", "ShownHit", "ShownPhoto", "Viewer"]

Box = tuple[float, float, float, float]

_MOST_PIXELS = 100_000_000
"""Of a photo that is asked with: what cameras make, and no more than some seconds of work."""

_PHOTO_SIDE = 1600
_PHOTOS_KEPT = 8


@dataclass(frozen=True)
class Example:
    """A face that is asked with.

    Attributes:
        row: of the set; None where it is not one of its faces.
        vector: (D,) of length 1; None for a row of the set.
    """

    row: int | None = None
    vector: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class Question:
    """What is searched for.

    Attributes:
        like: examples; none of them lists the set's faces in their own order.
        start: how many hits to pass over.
        count: how many to return.
    """

    like: Sequence[Example] = ()
    start: int = 0
    count: int = 60


@dataclass(frozen=True)
class ShownHit:
    """A face of the set as the grid shows it.

    Attributes:
        row: its row.
        name: of its picture, without folders.
        face: its number in the picture, from 1.
        score: cosine with what was asked for; None where nothing was.
        identity: who it is, if known.
        label: expression or class, if known.
        time_s: seconds from its clip's beginning, if it is from one.
    """

    row: int
    name: str
    face: int
    score: float | None
    identity: str | None
    label: str | None
    time_s: float | None


@dataclass(frozen=True)
class Answer:
    """Hits, best first.

    Attributes:
        hits: as many as asked for, or all that there are.
        searched: how many faces could be found.
    """

    hits: list[ShownHit]
    searched: int


@dataclass(frozen=True)
class ShownFace:
    """A face that was found in a photo that is asked with.

    Attributes:
        crop: ``data:`` address of its thumbnail.
        box: left, top, right, bottom as shares of the photo; None where the whole photo was taken.
        vector: (D,) float32 of length 1.
    """

    crop: str
    box: Box | None
    vector: NDArray[np.float32]


@dataclass(frozen=True)
class ShownPhoto:
    """The picture of a face as a JPEG, its longer side 1600 px or little more.

    Attributes:
        content: the bytes.
        width: of the original, in pixels.
        height: of the original, in pixels.
    """

    content: bytes
    width: int
    height: int


class Viewer:
    """One embedding set, opened to be looked at; threads may share it.

    Args:
        embeddings: the ``.npy`` file of an embedding set.
        encoder: where the set's encoder lies now, if it moved.
        device: ``cpu``, ``cuda``, …; None takes the best one present.
        progress: told of weights that must be fetched.

    Raises:
        SetError: the set is missing or damaged.
    """

    def __init__(
        self,
        embeddings: str | Path = "emb.npy",
        *,
        encoder: str | Path | None = None,
        device: str | None = None,
        progress: Progress | None = None,
    ) -> None:
        self._searcher = Searcher(embeddings, encoder, device, progress=progress)
        self.path, self.set = self._searcher.path, self._searcher.set
        self.thumbnails = Thumbnails(self.set)
        self._device = device
        self._computing = threading.RLock()
        self.photo = lru_cache(_PHOTOS_KEPT)(self._photo)

    @cached_property
    def _finder(self) -> Finder:
        return finder_of(FaceOptions(), aligned=False, device=self._device)

    @cached_property
    def _holds_crops(self) -> bool:
        """Whether the set's faces were taken as they are, and not found in photos."""
        return bool(self.set.column("landmarks").null_count > len(self.set) / 2)

    def warm_up(self) -> None:
        """Load what the first question would wait for: encoder and detector; and look whether the set is whole.

        Raises:
            SetError: the set's encoder is not there any more.
            EncoderMismatchError: it has changed since.
        """
        self.set.verify()
        with self._computing:
            _ = self._finder, self._searcher.encoder

    def faces_of(self, content: bytes) -> list[ShownFace]:
        """Find the faces of a photo that is asked with.

        Args:
            content: the bytes of a picture file; they stay in memory.

        Returns:
            The faces, left to right.

        Raises:
            UnreadableImageError: no picture, damaged, or beyond 100 million pixels.
            NoFaceError: it shows no face.
        """
        picture = Picture("the photo", fetch=lambda: content)
        width, height = picture.size()
        if width * height > _MOST_PIXELS:
            raise UnreadableImageError(picture.source, f"{width} × {height} pixels are more than 100 million")
        with self._computing:
            return self._found(picture)

    def _found(self, picture: Picture) -> list[ShownFace]:
        if self._holds_crops and looks_aligned([picture]):
            crops = read_crop(picture)[0][None]
            boxes: list[Box | None] = [None]
        else:
            image, scale = read_photo(picture, FaceOptions.min_face)
            (found,) = self._finder([Decoded(picture, image, scale)])
            if found.problem is not None and found.problem.what == NO_FACE:
                raise NoFaceError("no face was found in the photo; take one that shows a face larger and more frontal")
            size = image.shape[1] * scale, image.shape[0] * scale
            crops, boxes = found.crops, [relative_box(face, *size) for face in found.faces]
        vectors = self._searcher.encoder.embed(crops)
        return [ShownFace(_data_url(jpeg(crop)), *rest) for crop, *rest in zip(crops, boxes, vectors, strict=True)]

    def search(self, question: Question) -> Answer:
        """Find what is asked for, and begin to cut the thumbnails of what was found.

        Raises:
            InputError: an example is no row of the set, or a vector of another length.
        """
        if question.like:
            scores, rows = self._nearest(question)
            hits = self._hits(rows.tolist(), scores.tolist())
        else:
            shown = range(question.start, min(question.start + question.count, len(self.set)))
            hits = self._hits(shown, [None] * len(shown))
        self.thumbnails.prepare(hit.row for hit in hits)
        return Answer(hits, len(self.set))

    def _nearest(self, question: Question) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        vector = np.mean([self._vector(example) for example in question.like], axis=0)
        allowed = np.ones(len(self.set), np.bool_)
        allowed[[example.row for example in question.like if example.row is not None]] = False
        scores, rows = self._searcher.query(vector, question.start + question.count, allowed)
        return scores[question.start :], rows[question.start :]

    def _vector(self, example: Example) -> NDArray[np.float32]:
        if example.vector is None:
            self.face(example.row)
            return np.asarray(self.set.vectors[example.row])
        if example.vector.shape != (self.set.encoder.dim,):
            raise InputError("an example of this address is of another encoder; start from a photo again")
        return example.vector

    def face(self, row: int | None) -> Face:
        """Return what is known of a face of the set.

        Raises:
            InputError: there is no such row.
        """
        if row is None or not 0 <= row < len(self.set):
            raise InputError(f"the set has no face {row}: it holds {len(self.set):,}, counted from 0")
        return self.set.face(row)

    def _hits(self, rows: Sequence[int], scores: Sequence[float | None]) -> list[ShownHit]:
        faces = self.set.faces_of(rows)
        return [
            ShownHit(row, Path(face.source).name, face.face, score, face.identity, face.label, face.time_s)
            for row, face, score in zip(rows, faces, scores, strict=True)
        ]

    def thumbnail(self, row: int) -> Future[bytes]:
        """Return the JPEG of 128 px of a face, now or later; see `Thumbnails.request`.

        Raises:
            InputError: there is no such row.
        """
        self.face(row)
        return self.thumbnails.request(row)

    def _photo(self, row: int) -> ShownPhoto:
        """Return the whole picture of a face, as it is now.

        Raises:
            InputError: there is no such row, or its picture is not there any more.
        """
        image, scale = find_picture(self.face(row).source).read_scaled(_PHOTO_SIDE)
        height, width = image.shape[:2]
        return ShownPhoto(jpeg(image), width * scale, height * scale)

    def neighbours(self, row: int) -> list[int]:
        """Return the rows of the faces that the picture of ``row`` shows, itself included, left to right."""
        import pyarrow.compute as pc

        source = self.face(row).source
        return [int(each) for each in np.flatnonzero(pc.equal(self.set.column("source"), source).to_numpy())]

    def video(self, row: int) -> Path | None:
        """Return the video file that a face is a frame of; None where it is from a photo."""
        path, _, number = self.face(row).source.rpartition("#")
        is_video = Path(path).suffix.lower() in VIDEO_SUFFIXES and number.isdecimal()
        return Path(path) if is_video and Path(path).is_file() else None


def relative_box(face: Face, width: float, height: float) -> Box | None:
    """Return a face's box as shares of its picture; None where the whole picture is the face."""
    if face.box is None:
        return None
    left, top, right, bottom = face.box
    return (left + 0.5) / width, (top + 0.5) / height, (right + 0.5) / width, (bottom + 0.5) / height


def _data_url(content: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(content).decode("ascii")
