"""How much each face of an embedding set shows an expression, named or by a picture."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.expressions import EXPRESSIONS, expression
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.query_face import find_query_face
from ferkit.progress import Progress
from ferkit.search.searcher import Searcher

_BLOCK = 16384


@dataclass(frozen=True)
class Likeness:
    """How much each face of a set shows an expression."""

    scores: NDArray[np.float64]  # (N,) float64, one per row
    measure: str  # what they are: ``probability`` or ``cosine``
    crop: NDArray[np.uint8] | str  # (128, 128, 3) uint8 RGB of the face that was asked with; of a class, its name
    name: str  # of the picture or the class


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
        return Likeness(_joined(parts), "probability", name, name)
    asked = find_query_face(like, face, options, device, progress)
    vector = searcher.encoder.embed(asked.crop[None])[0].astype(np.float64)
    cosines = _joined([block.astype(np.float64) @ vector for block in _blocks(found)])
    picture = Path(asked.face.source).name
    if head is None or head.same is None:
        return Likeness(cosines, "cosine", asked.crop, picture)
    return Likeness(np.asarray(head.same_probability(cosines), np.float64), "probability", asked.crop, picture)


def _blocks(found: EmbeddingSet) -> Iterator[NDArray[np.float32]]:
    for start in range(0, len(found), _BLOCK):
        yield np.asarray(found.vectors[start : start + _BLOCK])


def _joined(parts: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
    return np.concatenate([np.empty(0), *(part.astype(np.float64) for part in parts)])
