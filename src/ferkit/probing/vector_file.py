"""Vectors that are there already, as what is probed: embedding sets, and arrays that other programs made."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ferkit.data.arrays import map_array
from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.encoder_stamp import EncoderStamp, require_same_encoder
from ferkit.data.faces import FACE_SCHEMA
from ferkit.encoders.hashes import sha256_of
from ferkit.errors import EncoderMismatchError, InputError, SetError
from ferkit.evaluation.rows import has_embedding

Vectors = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class VectorFile:
    """The rows of a ``.npy`` file; those that are not finite have no face.

    ``table`` has at least the columns of `FACE_SCHEMA`; ``encoder`` is what made the vectors, where that is known.
    """

    path: Path
    vectors: Vectors
    table: pa.Table
    encoder: EncoderStamp | None

    @property
    def name(self) -> str:
        """What tables call it."""
        return self.path.name

    @property
    def reference(self) -> str:
        """Name of the encoder, or the file."""
        return self.encoder.name if self.encoder else str(self.path)

    @property
    def sha256(self) -> str:
        """Of the encoder's weights, or of the file."""
        return self.encoder.sha256 if self.encoder else sha256_of(self.path)

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.vectors.shape[1])

    def vectors_of(self, table: pa.Table, whose: str) -> Vectors:
        """Return the (n, D) vectors of other rows, found by their pixels; NaN where there is none.

        Raises:
            InputError: there is none at all.
        """
        if table is self.table:
            return self.vectors
        at = {digest: row for row, digest in enumerate(self.table.column("sha256").to_pylist()) if digest}
        rows = np.array([at.get(digest, -1) for digest in table.column("sha256").to_pylist()])
        if not (rows >= 0).any():
            raise InputError(f"{str(self.path)!r} holds no face of {whose}; embed those: `ferkit embed {whose}`")
        vectors = np.full((len(rows), self.dim), np.nan, np.float32)
        vectors[rows >= 0] = self.vectors[rows[rows >= 0]]
        return vectors


def is_vector_file(path: str | Path) -> bool:
    """Say whether a name is that of a file of vectors."""
    return Path(path).suffix == ".npy"


def open_vectors(path: Path) -> VectorFile:
    """Open an embedding set, or any (N, D) array with a parquet table of its N rows beside it.

    A set with rows that are not finite is read as such an array, since `EmbeddingSet` knows none.

    Raises:
        SetError: a file is missing or damaged, or they do not belong together.
    """
    if path.with_suffix(".json").exists():
        faceless = _array(path) if path.exists() else None
        if faceless is None or has_embedding(faceless).all():
            opened = EmbeddingSet.open(path)
            opened.verify()
            return VectorFile(path, opened.vectors, opened.table, opened.encoder)
    vectors, table = _array(path), _table(path)
    if len(vectors) != table.num_rows:
        raise SetError(f"{str(path)!r} holds {len(vectors)} vectors and the table beside it {table.num_rows} rows")
    return VectorFile(path, vectors, table, None)


def require_one_encoder(first: VectorFile, second: VectorFile) -> None:
    """Refuse to fit on vectors of one encoder and ask those of another.

    Raises:
        EncoderMismatchError: they are of two encoders.
    """
    if first.encoder and second.encoder:
        require_same_encoder(first.encoder, second.encoder)
    elif first.dim != second.dim:
        raise EncoderMismatchError(
            f"{str(first.path)!r} has vectors of {first.dim} and {str(second.path)!r} of {second.dim};"
            " give both of one encoder"
        )


def _array(path: Path) -> Vectors:
    try:
        vectors = map_array(path)
    except FileNotFoundError:
        raise SetError(f"there is no file {str(path)!r}; make it: `ferkit embed FACES -o {path}`") from None
    except ValueError as error:
        raise SetError(f"{str(path)!r} cannot be read: {error}; write it again with numpy.save") from error
    if vectors.ndim != 2 or not np.issubdtype(vectors.dtype, np.floating):
        raise SetError(f"{str(path)!r} holds no (N, D) array of floats; give one row for each face")
    return vectors


def _table(path: Path) -> pa.Table:
    """Read the rows beside an array; what they do not say is added as nulls, or as the row's number."""
    beside = path.with_suffix(".parquet")
    try:
        table = pq.read_table(beside)
    except FileNotFoundError:
        raise SetError(
            f"there is no {str(beside)!r}, which says whose faces and which expressions the rows of {path.name} show"
        ) from None
    except (OSError, pa.ArrowException) as error:
        raise SetError(f"{str(beside)!r} cannot be read as parquet ({error}); write it again") from error
    rows = range(table.num_rows)
    usual = {"source": [f"{path}#{row}" for row in rows], "face": [1] * len(rows), "sha256": [""] * len(rows)}
    for field in FACE_SCHEMA:
        if field.name not in table.column_names:
            values = usual.get(field.name, [None] * len(rows))
            table = table.append_column(field, pa.array(values, field.type))
    for name in ("label", "identity", "clip", "source"):
        place = table.column_names.index(name)
        table = table.set_column(place, name, table.column(name).cast(pa.string()))
    return table
