"""What FaceSwap makes of some faces: everybody's expression on everybody's outer face."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ferkit.data.face_set import FaceSet
from ferkit.errors import InputError
from ferkit.methods.parts.pairs import inner_face
from ferkit.ops.face_swap import swap_faces
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.face_stream import SetStream, open_faces, require_faces
from ferkit.progress import Progress
from ferkit.report.warp_sheet import PictureRow, draw_sheet

_TITLE = "face swap: a row keeps the expression, a column the outer face; on the diagonal the faces as they are"


def different_people(
    sources: Sequence[Path], most: int, seed: int, options: FaceOptions, progress: Progress
) -> NDArray[np.uint8]:
    """Take a face each of up to ``most`` people; clips and pictures stand for people where those are not named.

    Args:
        sources: pictures or videos, of which the first people are taken, or a face set, of which anyone may be.
        most: faces, at least 2.
        seed: decides whom of a face set.
        options: how faces are found.
        progress: told what the pictures were taken for.

    Returns:
        (n, 128, 128, 3) uint8 crops, n from 2 to ``most``.

    Raises:
        InputError: there are no two people, or as `ferkit.pipeline.face_stream.open_faces`.
        NoFaceError, NoImagesError: there is no face at all.
    """
    stream = open_faces(sources, options, "cpu", progress)
    if isinstance(stream, SetStream):
        stream = SetStream(_one_of_each(stream.face_set, most, seed))
    problems: list[tuple[str, str]] = []
    found: dict[object, NDArray[np.uint8]] = {}
    for batch in stream.batches():
        problems += batch.problems
        for face, crop in zip(batch.faces, batch.crops, strict=True):
            found.setdefault(face.identity or face.clip or (face.source, face.face), crop)
        if len(found) >= most:
            break
    require_faces(len(found), problems, sources)
    if len(found) < 2:
        raise InputError(
            "a face swap takes two people, and this is one; name several pictures, as in "
            "`ferkit warp-preview a.jpg b.jpg --face-swap`, or a face set"
        )
    return np.stack(list(found.values())[:most])


def swap_all(faces: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, 128, 128, 3) uint8 crops -> (n, n, 128, 128, 3): row i on the outer face of column j, itself where i is j."""
    outer, mask = torch.from_numpy(faces), inner_face(faces.shape[1])
    others = ~torch.eye(len(faces), dtype=torch.bool)
    rows = [swap_faces(face.expand_as(outer), outer, mask, others[row]) for row, face in enumerate(outer)]
    return torch.stack(rows).numpy()


def swap_sheet(faces: NDArray[np.uint8]) -> Figure:
    """Draw `swap_all`."""
    return draw_sheet([PictureRow("" if number else _TITLE, list(row)) for number, row in enumerate(swap_all(faces))])


def _one_of_each(faces: FaceSet, most: int, seed: int) -> FaceSet:
    """A face each of some people, at random."""
    order = np.random.default_rng(seed).permutation(len(faces)).tolist()
    columns = {name: faces.column(name).to_pylist() for name in ("identity", "clip")}
    found: dict[object, int] = {}
    for row in order:
        found.setdefault(columns["identity"][row] or columns["clip"][row] or row, row)
        if len(found) == most:
            break
    return faces.subset(list(found.values()))
