"""Bring an embedding set up to date: what it knows of pictures that are still there is taken over, the rest is new."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.face_set import FaceSet
from ferkit.data.faces import Face
from ferkit.data.source_records import SourceRecord, record_sources
from ferkit.data.sources import Picture, Sources, Video
from ferkit.errors import InputError
from ferkit.pipeline.face_finder import FILTERED, NO_FACE, Bookmark, FaceBatch, Problem
from ferkit.pipeline.face_stream import FaceStream, SetStream
from ferkit.pipeline.fingerprint import digest
from ferkit.pipeline.source_stream import SourceStream
from ferkit.progress import Progress

_UNITS_A_BATCH = 256


class Changes(NamedTuple):
    """How the pictures and videos of a set differ from those that it was made of before."""

    new: int  # that were not there
    changed: int  # that are other pictures by now
    gone: int  # that are there no more
    kept: int  # whose faces are taken over, those that were moved or renamed included

    def __str__(self) -> str:
        return f"{self.new:,} new, {self.changed:,} changed, {self.gone:,} gone, {self.kept:,} kept"


@dataclass(frozen=True)
class VectorBatch(FaceBatch):
    """Faces with their vectors, (n, D) float32."""

    vectors: NDArray[np.float32] = field(kw_only=True)


class _Kept(NamedTuple):
    """A picture or video whose faces are known, and the record of it."""

    item: Picture | Video
    known: SourceRecord


@dataclass(frozen=True)
class ReusingStream:
    """First the faces that an older set knows, with their vectors, then those of the pictures that it does not know."""

    embeddings: EmbeddingSet  # the older set
    kept: Sequence[_Kept]  # what is taken over from it
    rest: SourceStream  # the faces of all else
    changes: Changes  # of the pictures since then

    @property
    def crop_size(self) -> int:
        """Side of the crops in pixels."""
        return self.rest.crop_size

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to look at."""
        return not (len(self.rest.sources.pictures) or self.rest.sources.videos)

    @property
    def total(self) -> float:
        """Steps of what is not known yet."""
        return self.rest.total

    @property
    def unit(self) -> str:
        """What `total` counts."""
        return self.rest.unit

    def steps(self, pictures_done: int, state: Bookmark) -> float:
        """Steps that are done at a place in the stream."""
        return self.rest.steps(max(0, pictures_done - len(self.kept)), state)

    def batches(self, done: int = 0, state: Bookmark = None) -> Iterator[FaceBatch]:
        """Yield the batches from a place on; the first of them are `VectorBatch`es."""
        for start in range(done, len(self.kept), _UNITS_A_BATCH):
            yield self._known(self.kept[start : start + _UNITS_A_BATCH])
        if not self.is_empty:
            yield from self.rest.batches(max(0, done - len(self.kept)), state)

    def _known(self, kept: Sequence[_Kept]) -> VectorBatch:
        rows = [row for unit in kept for row in self._rows[unit.known.source]]
        faces = iter(self.embeddings.faces_of(rows))
        named = [
            _renamed(next(faces), unit.item, unit.known.source) for unit in kept for _ in self._rows[unit.known.source]
        ]
        problems = [Problem(unit.item.source, unit.known.problem) for unit in kept if unit.known.problem]
        vectors = np.asarray(self.embeddings.vectors[rows])
        return VectorBatch(np.empty((0, 0, 0, 3), np.uint8), named, len(kept), problems, vectors=vectors)

    @cached_property
    def _rows(self) -> dict[str, list[int]]:
        """The rows of every picture and video."""
        units = {unit.known.source for unit in self.kept}
        rows: defaultdict[str, list[int]] = defaultdict(list)
        for row, source in enumerate(self.embeddings.column("source").to_pylist()):
            rows[source if source in units else source.rpartition("#")[0]].append(row)
        return rows


class KnownVectors:
    """The vectors of a set, by the crops that they were made of.

    Args:
        embeddings: the set; None knows nothing.
    """

    def __init__(self, embeddings: EmbeddingSet | None) -> None:
        self._embeddings = embeddings
        crops = [] if embeddings is None else embeddings.column("sha256").to_pylist()
        self._rows = {sha256: row for row, sha256 in enumerate(crops)}

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._rows

    def complete(
        self, faces: Sequence[Face], crops: NDArray[np.uint8], embed: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """Return the (n, D) vectors of faces; ``embed`` is asked for those that are not known, for equal ones once."""
        rows = np.array([self._rows.get(face.sha256, -1) for face in faces], np.int64)
        first: dict[str, int] = {}
        new = np.flatnonzero(rows < 0)
        places = [first.setdefault(faces[row].sha256, row) for row in new.tolist()]
        distinct = np.array(list(first.values()), np.int64)
        if self._embeddings is None or len(new) == len(rows):
            return embed(crops[distinct])[np.searchsorted(distinct, places)]
        vectors = np.array(self._embeddings.vectors[np.maximum(rows, 0)])
        if len(new):
            vectors[new] = embed(crops[distinct])[np.searchsorted(distinct, places)]
        return vectors


@dataclass(frozen=True)
class Update:
    """How an embedding set is made, or brought up to date."""

    stream: FaceStream  # the faces, as many as possible with their vectors
    vectors: KnownVectors  # of crops that are known already
    job: str  # digest of the sources, of how faces are found and of what is taken over
    origin: dict[str, Any]  # what `EmbeddingSetWriter` keeps of all that
    changes: Changes | None = None  # since the older set; None where there is none
    complete: EmbeddingSet | None = None  # the older set, where it holds already all that is asked for
    problems: Sequence[tuple[str, str]] = ()  # (source, problem) of the pictures that gave it no face


def plan_update(
    stream: SourceStream | SetStream, older: EmbeddingSet | None, paths: Sequence[Path], progress: Progress
) -> Update:
    """Find out what is to be done.

    Args:
        stream: the faces of all sources.
        older: the set to bring up to date, by the same encoder; None makes all anew.
        paths: the sources as they were named.
        progress: told how far the look at the pictures is.

    Raises:
        InputError: as `require_sources`.
    """
    vectors = KnownVectors(older)
    if isinstance(stream, SetStream):
        faces = stream.face_set
        origin = {"faces": str(faces.path), "table": faces.table}
        changes = None if older is None else _changed_rows(faces, older, vectors)
        return Update(stream, vectors, stream.listing, origin, changes)
    known = older.records(stream.settings) if older is not None else []
    records = record_sources(stream.sources, known, progress)
    origin = {"records": records, "settings": stream.settings}
    job = stream.fingerprint_of(records)
    if older is None or not known:
        return Update(stream, vectors, job, origin)
    require_sources(paths, records, known)
    rest = _split(stream, records, older, known)
    job = digest([job, *(unit.known.source for unit in rest.kept)])
    update = Update(rest, vectors, job, origin, rest.changes)
    if not rest.is_empty or [record.identity for record in records] != [record.identity for record in known]:
        return update
    problems = [(record.source, record.problem) for record in known if record.problem]
    return replace(update, complete=older, problems=problems)


def _changed_rows(faces: FaceSet, older: EmbeddingSet, vectors: KnownVectors) -> Changes:
    crops = set(faces.column("sha256").to_pylist())
    kept = sum(crop in vectors for crop in crops)
    return Changes(len(crops) - kept, 0, len(set(older.column("sha256").to_pylist()) - crops), kept)


def _split(
    stream: SourceStream, records: Sequence[SourceRecord], older: EmbeddingSet, known: Sequence[SourceRecord]
) -> ReusingStream:
    by_content = {record.content: record for record in known if _is_settled(record)}
    by_source = {record.source: record for record in known}
    kept: list[_Kept] = []
    pictures: list[Picture] = []
    videos: list[Video] = []
    new = changed = 0
    items: Iterator[Picture | Video] = chain(stream.sources.pictures, stream.sources.videos)
    for item, record in zip(items, records, strict=True):
        there = by_source.get(record.source)
        same = there if there is not None and there.content == record.content else by_content.get(record.content)
        if same is not None and _is_settled(same):
            kept.append(_Kept(item, same))
            continue
        new += there is None
        changed += there is not None and there.content != record.content
        if isinstance(item, Video):
            videos.append(item)
        else:
            pictures.append(item)
    sources, contents = ({getattr(record, name) for record in records} for name in ("source", "content"))
    gone = sum(record.source not in sources and record.content not in contents for record in known)
    changes = Changes(new, changed, gone, len(kept))
    return ReusingStream(older, kept, replace(stream, sources=Sources(pictures, videos)), changes)


def require_sources(paths: Sequence[Path], records: Sequence[SourceRecord], known: Sequence[SourceRecord]) -> None:
    """Refuse to take a folder for emptied whose disk is perhaps not there.

    Raises:
        InputError: nothing is left below one of the paths, and there was something.
    """
    for path in (path.resolve() for path in paths):
        before, now = (sum(_below(path, record.source) for record in some) for some in (known, records))
        if before and not now:
            raise InputError(
                f"{str(path)!r} shows none of the {before:,} pictures that the set knows from there (is its disk"
                " connected?); nothing was changed: connect it, leave it out, or add --fresh"
            )


def _below(folder: Path, source: str) -> bool:
    return source == str(folder) or source.startswith((f"{folder}/", f"{folder}\\", f"{folder}#"))


def _is_settled(record: SourceRecord) -> bool:
    """Whether another look would find the same; what could not be read may be readable by now."""
    return record.content is not None and (record.problem or NO_FACE).startswith((NO_FACE, FILTERED))


def _renamed(face: Face, item: Picture | Video, before: str) -> Face:
    """The face as its source names and describes it now."""
    about: dict[str, Any] = {"label": item.label, "identity": item.identity}
    if isinstance(item, Video):
        clip = face.clip and item.source + face.clip.removeprefix(before)
        return replace(face, source=item.source + face.source.removeprefix(before), clip=clip, **about)
    about |= {name: getattr(item, name) for name in ("clip", "time_s", "valence", "arousal")}
    return replace(face, source=item.source, **about)
