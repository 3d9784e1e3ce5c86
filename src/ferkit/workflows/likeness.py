"""What verbs that look for an expression share: an embedding set, and how much each of its faces shows it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.expressions import EXPRESSIONS, expression
from ferkit.encoders import DEFAULT_ENCODER
from ferkit.errors import InputError
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.query_face import find_query_face
from ferkit.progress import Progress
from ferkit.report.montage import Tile
from ferkit.search.searcher import Searcher
from ferkit.workflows.embed import embed

_BLOCK = 16384


@dataclass(frozen=True)
class Likeness:
    """How much each face of a set shows an expression.

    Attributes:
        scores: (N,) float64, one per row.
        measure: what they are: ``probability`` or ``cosine``.
        tile: the face that was asked with, or the class's name, as a montage shows it.
    """

    scores: NDArray[np.float64]
    measure: str
    tile: Tile


@contextmanager
def opened_set(
    sources: Sequence[Path],
    options: FaceOptions,
    encoder: str | Path | None,
    device: str | None,
    keep: Path | None,
    progress: Progress,
) -> Iterator[Searcher]:
    """Open the one embedding set that is named, or embed photos and videos.

    Args:
        sources: a ``.npy`` file alone, or whatever `ferkit.embed` takes.
        options: how faces are found.
        encoder: of photos and videos, or where that of the set lies now; None takes the default one, or the set's.
        device: as for `ferkit.embed`.
        keep: ``.npy`` file in which the embeddings of photos and videos stay, and from which a stopped run goes on;
            None removes them at the end.
        progress: told of every batch.
    """
    sets = [source for source in sources if source.suffix == ".npy"]
    if sets and (len(sources) > 1 or keep):
        raise InputError(f"{str(sets[0])!r} is an embedding set; give it alone")
    if sets:
        yield Searcher(sets[0], encoder, device, progress=progress)
        return
    with TemporaryDirectory(prefix="ferkit-") as folder:
        path = keep or Path(folder) / "emb.npy"
        shared = {**vars(options), "fps": options.fps or 0}
        embed(sources, path, encoder=encoder or DEFAULT_ENCODER, device=device, progress=progress, **shared)
        yield Searcher(path, encoder, device, progress=progress)


def faces_like(
    searcher: Searcher,
    like: str | Path,
    face: int | None,
    options: FaceOptions,
    device: str | None,
    progress: Progress,
) -> Likeness:
    """Score every face of a set by a picture or by the name of an expression.

    Args:
        searcher: the set.
        like: a photo of a face, a face crop, or one of the eight expressions. What is a file is never taken for a name.
        face: which face of the photo to take, from 1, left to right; None takes the largest.
        options: how the photo's faces are found.
        device: where they are searched.
        progress: told what was taken.

    Raises:
        MissingPathError, UnreadableImageError, NoFaceError: the photo is not there, no picture, or shows no face.
        InputError: the photo has no such face.
        WeightsError, UnknownExpressionError: the encoder has no expression head, or not this class.
    """
    found, head, name = searcher.set, searcher.encoder.head, expression(str(like))
    if name in EXPRESSIONS and not Path(like).exists():
        head = searcher.encoder.require_head()
        column = head.column(name)
        parts = [head.probabilities(block)[:, column] for block in _blocks(found)]
        return Likeness(_joined(parts), "probability", Tile(name, "like", name))
    asked = find_query_face(like, face, options, device, progress)
    vector = searcher.encoder.embed(asked.crop[None])[0].astype(np.float64)
    cosines = _joined([block.astype(np.float64) @ vector for block in _blocks(found)])
    tile = Tile(asked.crop, "like", Path(asked.face.source).name)
    if head is None or head.same is None:
        return Likeness(cosines, "cosine", tile)
    return Likeness(np.asarray(head.same_probability(cosines), np.float64), "probability", tile)


def _blocks(found: EmbeddingSet) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(found), _BLOCK):
        yield np.asarray(found.vectors[start : start + _BLOCK])


def _joined(parts: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
    return np.concatenate([np.empty(0), *(part.astype(np.float64) for part in parts)])
