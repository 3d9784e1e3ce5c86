"""Do two faces show the same expression?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np

from ferkit.encoders import DEFAULT_ENCODER
from ferkit.encoders.encoder import load_encoder
from ferkit.faces.image_faces import largest_crop
from ferkit.ops.rgb import AnyImage
from ferkit.pipeline.face_options import FaceOptions, QueryKeywords
from ferkit.pipeline.query_face import find_query_face
from ferkit.progress import Progress, Silent
from ferkit.search.scores import GOOD


@dataclass(frozen=True)
class Comparison:
    """How much alike two faces are."""

    first: str  # name of the first picture; empty for an image in memory
    second: str  # name of the second
    cosine: float  # between their vectors, in [-1, 1]
    # that two people's faces with this cosine show the same expression, in [0, 1], where showing one and showing two
    # are as likely beforehand; None where the encoder has no curve for it
    probability: float | None
    same: bool | None  # whether it is above one half; None where it is not known
    encoder: str  # name of the encoder


def compare(
    first: str | Path | AnyImage,
    second: str | Path | AnyImage,
    *,
    encoder: str | Path = DEFAULT_ENCODER,
    face: int | None = None,
    other_face: int | None = None,
    device: str | None = None,
    progress: Progress | None = None,
    **options: Unpack[QueryKeywords],
) -> Comparison:
    """Say how likely two faces show the same expression.

    Args:
        first: a photo, a face crop, or a place as ferkit prints it; or an image or face of `ferkit.find_faces`.
        second: likewise.
        encoder: a name of models.yaml, a run folder, a ``.safetensors`` file, or ``hf-hub:user/name[@revision]``.
        face: which face of the first photo, from 1, left to right; None takes the largest.
        other_face: which face of the second.
        device: ``cpu``, ``cuda``, …; None takes the best one present.
        progress: told what was taken.
        options: how faces are found: fields of `ferkit.pipeline.face_options.FaceOptions`.

    Raises:
        MissingPathError, UnreadableImageError, NoFaceError: a picture is not there, is none, or shows no face.
        InputError: a photo has no such face, or an array is no image.
        FerkitError: the encoder cannot be loaded.
    """
    progress, given = progress or Silent(), FaceOptions(**options)
    model = load_encoder(encoder, device, progress)
    crops, names = [], []
    for picture, number in ((first, face), (second, other_face)):
        if isinstance(picture, str | Path):
            found = find_query_face(picture, number, given, device, progress)
            crops.append(found.crop)
            names.append(found.face.source)
        else:
            crops.append(largest_crop(picture, device)[0])
            names.append("")
    a, b = model.embed(np.stack(crops)).astype(np.float64)
    cosine = float(a @ b)
    known = model.head is not None and model.head.same is not None
    probability = float(model.require_head().same_probability(np.array(cosine))) if known else None
    return Comparison(
        names[0], names[1], cosine, probability, None if probability is None else probability > GOOD, model.name
    )
