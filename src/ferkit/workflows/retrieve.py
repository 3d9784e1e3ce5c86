"""Find the faces whose expression is closest to that of a query."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Unpack

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.faces import Face
from ferkit.errors import InputError, NoFaceError, UnreadableImageError
from ferkit.pipeline.face_finder import NO_FACE, FaceBatch, filter_of
from ferkit.pipeline.face_options import FaceOptions, QueryKeywords
from ferkit.pipeline.face_stream import open_pictures
from ferkit.pipeline.recrop import Lost, row_crops
from ferkit.progress import Progress, Silent
from ferkit.report.contact_sheet import draw_numbered_faces
from ferkit.report.montage import Tile, draw_montage
from ferkit.report.safe_picture import check_picture_output, save_picture
from ferkit.search.searcher import Searcher, open_searcher
from ferkit.search.where import rows_where

__all__ = ["Hit", "RetrieveResult", "retrieve"]

Mask = NDArray[np.bool_]

_MOST_NAMED = 12

_SAME_POINT = 0.1
"""Pixels; far more than rounding moves a landmark, far less than any two photos agree on all five."""

_COPIES = 8
"""How many copies of the query the first search makes room for."""


@dataclass(frozen=True)
class Hit:
    """One face of the embedding set.

    Attributes:
        rank: 1 for the closest.
        score: cosine between its vector and the query's, in [-1, 1].
        source: absolute path of its picture, or ``/path/x.parquet#123``.
        face: its number in the picture, from 1, left to right.
        identity: who it is, where the source said so.
        label: expression or class, where the source said so.
        time_s: seconds from the beginning of its clip, where it is from one.
        row: its row in the embedding set.
    """

    rank: int
    score: float
    source: str
    face: int
    identity: str | None
    label: str | None
    time_s: float | None
    row: int


@dataclass(frozen=True)
class RetrieveResult:
    """The answer to a query.

    Attributes:
        query: the picture that was asked with.
        face: number of the face in it that was taken, from 1, left to right.
        faces: how many faces it shows.
        searched: how many faces of the set were allowed to be found.
        encoder: name of the encoder.
        hits: best first.
        montage: the picture that was drawn, if any.
    """

    query: Path
    face: int
    faces: int
    searched: int
    encoder: str
    hits: list[Hit]
    montage: Path | None


def retrieve(
    query: str | Path,
    embeddings: str | Path = "emb.npy",
    *,
    k: int = 10,
    face: int | None = None,
    exclude_query: bool = True,
    exclude_identity: str | None = None,
    where: str | None = None,
    encoder: str | Path | None = None,
    device: str | None = None,
    montage: str | Path | None = None,
    faces_sheet: str | Path | None = None,
    progress: Progress | None = None,
    **options: Unpack[QueryKeywords],
) -> RetrieveResult:
    """Find the ``k`` faces of an embedding set that look most like the query to the set's encoder.

    Args:
        query: a photo or a face crop.
        embeddings: the ``.npy`` file of an embedding set.
        k: how many faces to return, at least 1.
        face: which face of the query to take, from 1, left to right; None takes the largest.
        exclude_query: leave out the query itself, by its place, its pixels or its landmarks; copies of it as well.
        exclude_identity: leave out the faces of this person.
        where: condition on the set's columns, such as ``"label = 'fear' and yaw < 20"``, see
            `ferkit.search.where.rows_where`.
        encoder: where the set's encoder lies now, if it moved; another one is refused. None takes it by its name.
        device: ``cpu``, ``cuda``, …; None takes the best one present.
        montage: a ``.png`` file to draw the query and the found faces into; nothing but an earlier drawing is
            replaced.
        faces_sheet: a ``.png`` file to draw the query's faces into, with their numbers for ``face``.
        progress: told what the query was taken for.
        options: fields of `ferkit.pipeline.face_options.FaceOptions`: how the query's faces are found, and by
            ``min_size``, ``max_yaw`` and ``min_sharpness`` which faces of the set may be.

    Raises:
        SetError: the set is missing or damaged.
        EncoderMismatchError: ``encoder`` is not the one that made the set, or that one has changed since.
        MissingPathError, UnreadableImageError, NoFaceError: the query is not there, no picture, or shows no face.
        InputError: ``k``, ``face``, ``exclude_identity`` or ``where`` match nothing, or cannot be understood.
        OutputError: the montage cannot be written, or would replace a picture that ferkit did not draw.
    """
    query, progress, given = Path(query), progress or Silent(), FaceOptions(**options)
    target, sheet = (None if path is None else Path(path) for path in (montage, faces_sheet))
    for path in filter(None, (target, sheet)):
        check_picture_output(path, [query])
    if k < 1:
        raise InputError(f"{k} results were asked for; ask for 1 or more")
    searcher = open_searcher(embeddings, encoder, device, progress)
    allowed = _allowed(searcher.set, given, exclude_identity, where)
    shown = _query_faces(query, given, device, progress)
    if sheet is not None:
        save_picture(draw_numbered_faces(shown.crops), sheet)
        progress.say(f"the faces of the query, numbered for --face: {sheet}")
    chosen = _choose(shown.faces, face, query, progress)
    if searcher.set.encoder.precision == "int8":
        progress.say("the set was embedded in int8 and the query is in float32: scores are off by up to some 0.02")
    vector = searcher.encoder.embed(shown.crops[[chosen]])[0]
    left_out = shown.faces[chosen] if exclude_query else None
    hits, own = _hits(searcher, vector, k, allowed, left_out)
    if target is not None:
        _draw(target, shown, chosen, searcher.set, hits, searcher.path, progress)
    searched = (len(searcher) if allowed is None else int(allowed.sum())) - own
    return RetrieveResult(query, chosen + 1, len(shown.faces), searched, searcher.set.encoder.name, hits, target)


def _query_faces(query: Path, options: FaceOptions, device: str | None, progress: Progress) -> FaceBatch:
    unfiltered = replace(options, min_size=None, max_yaw=None, min_sharpness=None)
    stream = open_pictures([query], unfiltered, device, progress)
    pictures = len(stream.sources.pictures)
    if query.is_dir() or pictures != 1:
        holds = f"{pictures:,} pictures" if pictures else "a video"
        raise InputError(f"the query is one picture, and {str(query)!r} holds {holds}; name one of them")
    batch = next(stream.batches())
    for _, what in batch.problems:
        if what != NO_FACE:
            raise UnreadableImageError(query, what)
        raise NoFaceError(f"no face was found in {str(query)!r}; give --aligned if it is a face crop already")
    return batch


def _choose(faces: Sequence[Face], wanted: int | None, query: Path, progress: Progress) -> int:
    """Return which of the query's faces to take, from 0."""
    if wanted is not None:
        if not 1 <= wanted <= len(faces):
            raise InputError(f"there is no face {wanted} in {str(query)!r}: it shows {_numbered(faces)}")
        return wanted - 1
    chosen = max(range(len(faces)), key=lambda number: _area(faces[number]))
    if len(faces) > 1:
        progress.say(
            f"the query shows {len(faces)} faces; taking number {chosen + 1} from the left, the largest"
            " (--face N takes another, --faces-sheet FACES.png draws them numbered)"
        )
    return chosen


def _numbered(faces: Sequence[Face]) -> str:
    """The faces of a picture, by number and place."""
    if len(faces) == 1:
        return "1 face"
    places = [f"{face.face} at x={_middle(face, 0):.0f} y={_middle(face, 1):.0f}" for face in faces[:_MOST_NAMED]]
    more = ", …" if len(faces) > _MOST_NAMED else ""
    return f"{len(faces)} faces, left to right: {', '.join(places)}{more}; --faces-sheet FACES.png draws them numbered"


def _middle(face: Face, axis: int) -> float:
    return 0.0 if face.box is None else (face.box[axis] + face.box[axis + 2]) / 2


def _area(face: Face) -> float:
    if face.box is None:
        return 0.0
    left, top, right, bottom = face.box
    return (right - left) * (bottom - top)


def _hits(
    searcher: Searcher, vector: NDArray[np.float32], k: int, allowed: Mask | None, query: Face | None
) -> tuple[list[Hit], int]:
    """Return the nearest faces that are not the query itself, and how many were met that are."""
    width = k + _COPIES
    while True:
        scores, rows = searcher.query(vector, width, allowed)
        faces = searcher.set.faces_of(rows.tolist())
        others = [place for place, face in enumerate(faces) if query is None or not _same_face(face, query)]
        if len(others) >= k or len(rows) < width:
            break
        width *= 4
    hits = [_hit(rank, float(scores[at]), int(rows[at]), faces[at]) for rank, at in enumerate(others[:k], 1)]
    return hits, len(faces) - len(others)


def _same_face(face: Face, query: Face) -> bool:
    """Say whether a face is the query itself or a copy of it, by its place, its pixels or its landmarks.

    A copy of the photo need not give the same crop: rounding differs with the photos that are searched together.
    """
    if (face.source, face.face) == (query.source, query.face) or face.sha256 == query.sha256:
        return True
    if face.landmarks is None or query.landmarks is None:
        return False
    return bool(np.abs(np.subtract(face.landmarks, query.landmarks)).max() < _SAME_POINT)


def _allowed(
    embeddings: EmbeddingSet, options: FaceOptions, exclude_identity: str | None, where: str | None
) -> Mask | None:
    """Say which rows may be found: (N,) booleans; None for all."""
    allowed = None
    if wanted := filter_of(options):
        allowed = wanted.keep_rows(embeddings.columns(["size", "yaw", "sharpness"]))
        if not allowed.any():
            raise InputError(f"none of the set's {len(embeddings):,} faces passes {wanted.describe()}; ask for less")
    if exclude_identity is not None:
        identities = embeddings.column("identity")
        theirs = pc.fill_null(pc.equal(identities, exclude_identity), False).to_numpy()
        if not theirs.any():
            raise InputError(_unknown_identity(identities, exclude_identity))
        allowed = ~theirs if allowed is None else allowed & ~theirs
    if where is not None:
        met = rows_where(where, embeddings)
        if not met.any():
            raise InputError(f"none of the set's {len(embeddings):,} faces meets --where {where!r}; ask for less")
        allowed = met if allowed is None else allowed & met
    return allowed


def _unknown_identity(identities: pa.ChunkedArray, name: str) -> str:
    known = sorted(pc.unique(identities.drop_null()).to_pylist())
    near = get_close_matches(name, known, n=3, cutoff=0.4) or known[:8]
    hint = f"did you mean: {', '.join(near)}?" if near else "its faces have no identities, so leave it out"
    return f"no face of the set has the identity {name!r} (--exclude-identity); {hint}"


def _hit(rank: int, score: float, row: int, face: Face) -> Hit:
    return Hit(rank, score, face.source, face.face, face.identity, face.label, face.time_s, row)


def _draw(
    target: Path,
    shown: FaceBatch,
    chosen: int,
    found: EmbeddingSet,
    hits: Sequence[Hit],
    path: Path,
    progress: Progress,
) -> None:
    crops = row_crops(found, [hit.row for hit in hits])
    for lost, what in (
        (Lost.MISSING, "are not where they were"),
        (Lost.CHANGED, "have changed since they were embedded"),
    ):
        if gone := sum(crop is lost for crop in crops):
            progress.say(f"{gone} of the {len(crops)} pictures found {what}; their places stay empty")
    query = Tile(shown.crops[chosen], "query", _name(shown.faces[chosen].source, chosen + 1))
    tiles = [Tile(crop, f"{hit.score:.3f}", _name(hit.source, hit.face)) for crop, hit in zip(crops, hits, strict=True)]
    picture = draw_montage(query, tiles, f"{path.name} · {len(found):,} faces · {Path(found.encoder.name).name}")
    save_picture(picture, target)


def _name(source: str, face: int) -> str:
    name = Path(source).name
    return name if face == 1 else f"{name} · face {face}"
