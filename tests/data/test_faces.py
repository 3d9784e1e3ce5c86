import hashlib
from dataclasses import replace

import numpy as np
import pyarrow as pa

from ferkit.data.face_table import FaceTable
from ferkit.data.faces import (
    FACE_SCHEMA,
    Face,
    crop_sha256,
    face_from_row,
    faces_to_table,
    table_row_to_face,
    write_table,
)
from samples import face

FULL = Face(
    source="/photos/группа.jpg",
    face=2,
    clip="/videos/a.mp4",
    identity="ana",
    time_s=1.25,
    label="joy",
    box=(0.1, 2.0, 30.5, 40.0),
    landmarks=tuple(float(i) / 3 for i in range(10)),
    score=0.987654321,
    sha256="ab" * 32,
    valence=-0.5,
    arousal=1.0,
    size=30.4,
    sharpness=0.61,
    yaw=-12.5,
    pitch=3.25,
    roll=178.0,
    clipped=0.125,
)
BARE = face("/crops/x.png", sha256="cd" * 32)


def test_faces_come_back_from_the_file_as_they_were(tmp_path):
    write_table(faces_to_table([FULL, BARE, FULL]), tmp_path / "f.parquet")
    table = FaceTable(tmp_path / "f.parquet").read(None)
    assert table.schema.equals(FACE_SCHEMA)
    assert [table_row_to_face(table, row) for row in range(3)] == [FULL, BARE, FULL]


def test_odd_tables_and_names(tmp_path):
    """Further columns, none of the rows, names that are not UTF-8, folders that are named like partitions."""
    table = faces_to_table([FULL]).append_column("votes", pa.array([7]))
    assert table_row_to_face(table, 0) == FULL
    name = b"/photos/caf\xe9.jpg".decode("utf-8", "surrogateescape")
    assert faces_to_table([face(name)])["source"][0].as_py() == r"/photos/caf\udce9.jpg"
    folder = tmp_path / "split=train"
    folder.mkdir()
    write_table(faces_to_table([]), folder / "f.parquet")
    assert FaceTable(folder / "f.parquet").read(None).num_rows == 0
    assert FaceTable(folder / "f.parquet").read(None).column_names == FACE_SCHEMA.names


NEW = ["valence", "arousal", "size", "sharpness", "yaw", "pitch", "roll", "clipped"]


def test_tables_from_before_a_column_was_known_have_it_empty(tmp_path):
    old = faces_to_table([FULL, BARE]).drop_columns(NEW)
    write_table(old, tmp_path / "f.parquet")
    table = FaceTable(tmp_path / "f.parquet").read(None)
    assert table.schema.equals(FACE_SCHEMA)
    expected = [replace(FULL, **dict.fromkeys(NEW)), BARE]
    assert [table_row_to_face(table, row) for row in range(2)] == expected
    # A row of an unfinished set's journal, from before as well.
    assert face_from_row(old.to_pylist()[0]) == expected[0]


def test_crop_sha256_is_that_of_the_pixels_in_row_major_order():
    crop = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    expected = hashlib.sha256(bytes(range(48))).hexdigest()
    assert crop_sha256(crop) == expected
    assert crop_sha256(np.asfortranarray(crop)) == expected
    assert crop_sha256(crop[:, ::-1]) != expected
