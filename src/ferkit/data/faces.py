"""One row per face: what is known of it, and the columns that hold it in every ferkit parquet file."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

# Fixed, so that the same rows give the same bytes whatever the installed pyarrow prefers.
PARQUET_OPTIONS: dict[str, Any] = {"version": "2.6", "data_page_version": "1.0", "compression": "zstd"}
ROW_GROUP = 8192  # one is read for a single face, and held as Python objects while it is written


@dataclass(frozen=True, slots=True)
class Face:
    """One detected, aligned crop, or one image that was taken as a crop."""

    # absolute path of the photo, or its container's and the place in it: ``/path/x.parquet#123`` is row 123,
    # ``/path/x.mp4#123`` frame 123, both counted from 0
    source: str
    face: int  # number of the face within the source, from 1, left to right
    # one face followed through a video without a break; the same for all its frames, and for no others
    clip: str | None
    identity: str | None  # who it is, where the source says so
    time_s: float | None  # seconds from the clip's beginning
    label: str | None  # expression or class, where the source says so
    # x0, y0, x1, y1 in pixels of the upright original, the first pixel's centre at 0
    box: tuple[float, float, float, float] | None
    # x, y of left eye (image-left), right eye, nose, left and right mouth corner, in the same pixels
    landmarks: tuple[float, ...] | None
    score: float | None  # the detector's confidence in [0, 1]
    sha256: str  # hex digest of the crop's pixels, see `crop_sha256`
    valence: float | None = None  # annotated pleasantness in [-1, 1], where the source says so
    arousal: float | None = None  # annotated activation in [-1, 1], where the source says so
    # shorter side of the box in pixels of the original; of a picture taken as a crop, its shorter side
    size: float | None = None
    sharpness: float | None = None  # how sharp the crop is, in [0, 1], see `ferkit.faces.quality.sharpness`
    # degrees in [-90, 90] that the head is turned by, positive towards the image's right; a proxy from the five
    # landmarks, as are the next two, see `ferkit.faces.quality.head_pose`
    yaw: float | None = None
    pitch: float | None = None  # degrees in [-90, 90], positive upwards
    roll: float | None = None  # degrees in (-180, 180] that the eyes' line is turned by, positive clockwise
    clipped: float | None = None  # share of the crop's area that lies outside the picture, in [0, 1]


_ARROW_TYPES = {
    **{str: pa.string(), str | None: pa.string(), int: pa.int32(), float | None: pa.float64()},
    **dict.fromkeys((Face.__annotations__["box"], Face.__annotations__["landmarks"]), pa.list_(pa.float64())),
}

FACE_SCHEMA = pa.schema(
    [pa.field(name, _ARROW_TYPES[kind], kind not in (str, int)) for name, kind in Face.__annotations__.items()]
)
"""The columns that every ferkit parquet file of faces has: the fields of `Face`."""


def crop_sha256(crop: NDArray[np.uint8]) -> str:
    """Return the hex SHA-256 of the pixels of one (H, W, 3) uint8 crop, in row-major order."""
    return hashlib.sha256(crop.tobytes()).hexdigest()


def faces_to_table(faces: Sequence[Face]) -> pa.Table:
    """Return a table of `FACE_SCHEMA` with one row per face, in the given order.

    Bytes of a file name that are not UTF-8 become backslash escapes, since parquet text must be UTF-8.
    """
    rows = [{name: _utf8(value) for name, value in face_values(face).items()} for face in faces]
    return pa.Table.from_pylist(rows, schema=FACE_SCHEMA)


def table_row_to_face(table: pa.Table, row: int) -> Face:
    """Return row ``row`` of a table that has at least the columns of `FACE_SCHEMA`.

    Raises:
        IndexError: the table has no such row.
    """
    if not 0 <= row < table.num_rows:
        raise IndexError(f"row {row} of a table of {table.num_rows} faces")
    return face_from_row(table.select(FACE_SCHEMA.names).slice(row, 1).to_pylist()[0])


def face_values(face: Face) -> dict[str, Any]:
    """Return a face's fields by name, shared and not copied; `face_from_row` gives the face back."""
    return {name: getattr(face, name) for name in FACE_SCHEMA.names}


def face_from_row(values: Mapping[str, Any]) -> Face:
    """Return the face of a row as parquet or JSON give it, where tuples have become lists."""
    points = {name: None if values[name] is None else tuple(values[name]) for name in ("box", "landmarks")}
    return Face(**{**values, **points})


def with_all_columns(table: pa.Table, name: str) -> pa.Table:
    """Return ``table`` with the columns of `FACE_SCHEMA` that it lacks as nulls.

    Raises:
        ValueError: a column is missing that no face can be without; the message begins with ``name``.
    """
    for field in FACE_SCHEMA:
        place = table.schema.get_field_index(field.name)
        if place < 0 and field.nullable:
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
        elif place < 0:
            raise ValueError(f"{name} lacks the column {field.name!r}")
        elif (kind := table.schema.field(place).type) != field.type:
            try:
                table = table.set_column(place, field, table.column(place).cast(field.type))
            except pa.ArrowException as error:
                raise ValueError(f"{name} holds {field.name!r} as {kind}, not as {field.type}") from error
    return table


def write_table(table: pa.Table, path: Path) -> None:
    """Write ``table`` as parquet; equal tables give equal bytes."""
    pq.write_table(table, path, row_group_size=ROW_GROUP, **PARQUET_OPTIONS)


def _utf8(value: Any) -> Any:  # noqa: ANN401 (of any field)
    return value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value
