"""The one face of a picture that is asked with."""

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ferkit.data.faces import Face
from ferkit.errors import InputError, NoFaceError, UnreadableImageError
from ferkit.pipeline.face_finder import NO_FACE
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.face_stream import open_pictures
from ferkit.progress import Progress

STANDARD_INPUT = "-"
"""The name of the picture that comes in by standard input."""

_MOST_NAMED = 12


@dataclass(frozen=True, eq=False)
class QueryFace:
    """A face that is asked with."""

    face: Face  # what is known of it
    crop: NDArray[np.uint8]  # (128, 128, 3) uint8 RGB
    faces: int  # how many its picture shows


def find_query_face(
    picture: str | Path,
    number: int | None,
    options: FaceOptions,
    device: str | None,
    progress: Progress,
    show: Callable[[NDArray[np.uint8]], None] | None = None,
) -> QueryFace:
    """Find the face of a picture that is asked with.

    Args:
        picture: a photo, a face crop, or a place as ferkit prints it; ``-`` reads one from standard input.
        number: which face, from 1, left to right; None takes the largest and says so where there are others.
        options: how faces are found; filters are for those of a set.
        device: where they are searched.
        progress: told what was taken.
        show: given the (n, 128, 128, 3) crops of all faces before one is chosen.

    Raises:
        MissingPathError, UnreadableImageError, NoFaceError: the picture is not there, is none, or shows no face.
        InputError: it holds several pictures, or has no such face.
    """
    with _as_file(picture) as path:
        name = "standard input" if str(picture) == STANDARD_INPUT else str(path)
        unfiltered = replace(options, min_size=None, max_yaw=None, min_sharpness=None, min_score=None)
        stream = open_pictures([path], unfiltered, device, progress)
        pictures = len(stream.sources.pictures)
        if path.is_dir() or pictures != 1:
            holds = f"{pictures:,} pictures" if pictures else "a video"
            raise InputError(f"the query is one picture, and {name!r} holds {holds}; name one of them")
        batch = next(stream.batches())
    for _, what in batch.problems:
        if what != NO_FACE:
            raise UnreadableImageError(name, what)
        raise NoFaceError(f"no face was found in {name!r}; give --aligned if it is a face crop already")
    if show is not None:
        show(batch.crops)
    place = _choose(batch.faces, number, name, progress)
    face = batch.faces[place] if name == str(path) else replace(batch.faces[place], source=name)
    return QueryFace(face, batch.crops[place], len(batch.faces))


@contextmanager
def _as_file(picture: str | Path) -> Iterator[Path]:
    if str(picture) != STANDARD_INPUT:
        yield Path(picture)
        return
    content = sys.stdin.buffer.read()
    if not content:
        raise InputError("standard input is empty; pipe a picture into it, such as `cat photo.jpg | ferkit retrieve -`")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.jpg"  # the content says what it is
        path.write_bytes(content)
        yield path


def _choose(faces: Sequence[Face], number: int | None, name: str, progress: Progress) -> int:
    """Return which of the faces to take, from 0."""
    if number is not None:
        if not 1 <= number <= len(faces):
            raise InputError(f"there is no face {number} in {name!r}: it shows {_list_faces(faces)}")
        return number - 1
    chosen = max(range(len(faces)), key=lambda place: _area(faces[place]))
    if len(faces) > 1:
        progress.say(
            f"the query shows {len(faces)} faces; taking number {chosen + 1} from the left, the largest"
            " (--face N takes another, --faces-sheet FACES.png draws them numbered)"
        )
    return chosen


def _list_faces(faces: Sequence[Face]) -> str:
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
