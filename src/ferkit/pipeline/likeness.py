"""How much each face of an embedding set shows an expression, named or by a picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferkit.data.expressions import EXPRESSIONS, expression
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.query_face import find_query_face
from ferkit.progress import Progress
from ferkit.search.index import over_blocks
from ferkit.search.scores import class_probabilities, same_probabilities
from ferkit.search.searcher import Searcher


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
        likely = class_probabilities(searcher.encoder.require_head(), name, found.vectors)
        return Likeness(likely, "probability", name, name)
    asked = find_query_face(like, face, options, device, progress)
    vector, picture = searcher.encoder.embed(asked.crop[None])[0].astype(np.float64), Path(asked.face.source).name
    same = same_probabilities(head, vector[None], found.vectors)
    if same is not None:
        return Likeness(same, "probability", asked.crop, picture)
    cosines = over_blocks(found.vectors, lambda block: block.astype(np.float64) @ vector)
    return Likeness(np.asarray(cosines, np.float64), "cosine", asked.crop, picture)
