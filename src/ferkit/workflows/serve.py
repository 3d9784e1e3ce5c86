"""What the page of ``ferkit serve`` can ask of an embedding set; `ferkit.web` is its way to a browser."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferkit.data.dates import month_taken
from ferkit.data.face_selection import codes, picture_of
from ferkit.data.faces import Face
from ferkit.data.media import VIDEO_SUFFIXES
from ferkit.data.sources import Picture, find_picture
from ferkit.errors import InputError, NoFaceError, UnreadableImageError
from ferkit.pipeline.decoding import Decoded, is_crop, read_crop, read_photo
from ferkit.pipeline.face_finder import NO_FACE, Finder, finder_of
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.thumbnails import Thumbnails, jpeg
from ferkit.progress import Progress
from ferkit.report.pages import data_url
from ferkit.search.facets import Choice, Facets
from ferkit.search.questions import Question, Questioner, Ranking
from ferkit.search.retrieve_settings import ONLY
from ferkit.search.scores import GOOD
from ferkit.search.searcher import Searcher

Box = tuple[float, float, float, float]
_MOST_PIXELS = 100_000_000
"""Of a photo that is asked with: what cameras make, and no more than some seconds of work."""

_PHOTO_SIDE = 1600
_PHOTOS_KEPT = 8


@dataclass(frozen=True)
class ShownHit:
    """A face of the set as the grid shows it."""

    row: int  # its row
    name: str  # of its picture, without folders
    face: int  # its number in the picture, from 1
    score: float | None  # cosine with what was asked for; None where nothing was
    # that it shows the same expression, or the one that was asked for; None where nobody knows
    probability: float | None
    identity: str | None  # who it is, if known
    label: str | None  # expression or class, if known
    time_s: float | None  # seconds from its clip's beginning, if it is from one
    folded: int  # how many further faces it stands for: copies, frames of its clip


@dataclass(frozen=True)
class Answer:
    """Hits, best first."""

    hits: list[ShownHit]  # as many as asked for, or all that there are
    searched: int  # how many faces could be found
    nobody_known: bool = False  # whether examples were given, and it is not known who any of them shows
    warning: str | None = None  # one sentence where the answer is not what one might think
    # values of each facet, and how many faces each would leave; only with the first hits
    counts: Mapping[str, list[tuple[str, int]]] = field(default_factory=dict)


@dataclass(frozen=True)
class ShownFace:
    """A face that was found in a photo that is asked with."""

    crop: str  # ``data:`` address of its thumbnail
    box: Box | None  # left, top, right, bottom as shares of the photo; None where the whole photo was taken
    vector: NDArray[np.float32]  # (D,) float32 of length 1


@dataclass(frozen=True)
class ShownPhoto:
    """The picture of a face as a JPEG, its longer side 1600 px or little more."""

    content: bytes  # the bytes
    width: int  # of the original, in pixels
    height: int  # of the original, in pixels


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
        self._questioner = Questioner(self._searcher)
        self._device = device
        self.ready = threading.Event()
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
        """Load what the first question would wait for, and look at every face once; `ready` is set then.

        Raises:
            SetError: the set's encoder is not there any more.
            EncoderMismatchError: it has changed since.
        """
        self.set.verify()
        _ = self.set.table  # in memory from here on, so that each query need not read it
        with self._computing:
            _ = self._finder, self._searcher.encoder
        self._study()
        self.ready.set()

    @property
    def facets(self) -> Facets:
        """By what the set's faces can be chosen."""
        return self._questioner.facets

    def _study(self) -> None:
        """Look at every face once, for the facets that its table lacks: what it shows, and when it was taken."""
        asked = self._questioner
        if asked.head is not None:
            asked.facets.add("shows", asked.shares.argmax(axis=1).astype(np.int64), asked.head.classes)
        numbers, files = codes(picture_of(self.set.column("source")))
        months = [month_taken(Path(file.rpartition("#")[0] if not Path(file).exists() else file)) for file in files]
        values = sorted({month for month in months if month}, reverse=True)
        places = np.array([values.index(month) if month else -1 for month in months], np.int64)
        asked.facets.add("month", places[numbers], values)

    def expressions(self, row: int) -> dict[str, float] | None:
        """Return the probability of each class for a face; None where the encoder has no head, or is still loading."""
        if not self.ready.is_set() or self._questioner.head is None:
            return None
        return dict(zip(self._questioner.head.classes, self._questioner.shares[row].tolist(), strict=True))

    def starts(self) -> list[tuple[str, int, int]]:
        """Return the classes of the encoder's head, the face that shows each best, and how many show it most."""
        head = self._questioner.head
        if head is None:
            return []
        shares = self._questioner.shares
        clear = self.facets.rows(Choice(quality=("frontal", "sharp")))
        seen = np.where(clear[:, None], shares, shares - 1) if clear.any() else shares
        most, best = np.bincount(shares.argmax(axis=1), minlength=len(head.classes)), seen.argmax(axis=0)
        return list(zip(head.classes, best.tolist(), most.tolist(), strict=True))

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
        if self._holds_crops and is_crop(picture.size()):
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
        return [ShownFace(data_url(jpeg(crop)), *rest) for crop, *rest in zip(crops, boxes, vectors, strict=True)]

    def search(self, question: Question) -> Answer:
        """Find what is asked for, and begin to cut the thumbnails of what was found.

        Raises:
            InputError, WeightsError, UnknownExpressionError: as `Questioner.rank`.
        """
        ranking = self._questioner.rank(question)
        hits = self._hits(ranking)
        self.thumbnails.prepare(hit.row for hit in hits)
        first = question.start == 0
        warning = _warning(hits, question, ranking.nobody_known) if first else None
        counts = self._questioner.facets.counts(question.choice) if first else {}
        return Answer(hits, ranking.searched, ranking.nobody_known, warning, counts)

    def face(self, row: int | None) -> Face:
        """Return what is known of a face of the set.

        Raises:
            InputError: there is no such row.
        """
        if row is None or not 0 <= row < len(self.set):
            raise InputError(f"the set has no face {row}: it holds {len(self.set):,}, counted from 0")
        return self.set.face(row)

    def _hits(self, ranking: Ranking) -> list[ShownHit]:
        rows = ranking.rows.tolist()
        scores, likely = (
            [None] * len(rows) if values is None else values.tolist()
            for values in (ranking.scores, ranking.probabilities)
        )
        return [
            ShownHit(
                row, Path(face.source).name, face.face, cos, chance, face.identity, face.label, face.time_s, many - 1
            )
            for row, face, cos, chance, many in zip(
                rows, self.set.faces_of(rows), scores, likely, ranking.faces, strict=True
            )
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
        face = self.face(row)
        image, scale = find_picture(face.source, time_s=face.time_s).read_scaled(_PHOTO_SIDE)
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


def _warning(hits: Sequence[ShownHit], question: Question, unknown: bool) -> str | None:
    if not hits:
        return "no face passes all filters; take one away"
    if question.like and hits[0].probability is not None and hits[0].probability < GOOD:
        return f"no good match: nothing in the set reaches {GOOD:.0%}; these are the nearest all the same"
    if unknown and question.person == ONLY:
        return "it is not known who the example shows, so nobody is left out"
    return None
