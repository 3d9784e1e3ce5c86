"""Embedding sets that are written batch by batch, and go on where a killed run of the same job stopped."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ferkit.data.embedding_set import EmbeddingSet, staged_set
from ferkit.data.encoder_stamp import EncoderStamp
from ferkit.data.faces import FACE_SCHEMA, Face
from ferkit.data.source_records import SourceRecord, write_records
from ferkit.data.staged_rows import GrowingArray, StagedRows
from ferkit.errors import SetError


class EmbeddingSetWriter(StagedRows):
    """Keeps the vectors of an embedding set in ``<path>.partial/`` until all are there, flushed after each batch.

    A context manager; when the block ends well, the set takes its name, and one that had it is replaced.

    Args:
        path: the ``.npy`` file to be.
        encoder: what makes the vectors.
        job: JSON object of all else that decides the result; for another job the folder starts afresh.
        faces: path of the face set that the faces come from.
        records: what it is made of, where that is not a face set.
        settings: digest of how faces are found.
        listing: digest of all sources, where this set is one part of them.
        table: its rows, where they are known beforehand: each picture is a face then. None keeps the faces of every
            batch.

    Raises:
        OutputError: on entering, that another run is writing it.
    """

    def __init__(
        self,
        path: Path,
        encoder: EncoderStamp,
        job: Mapping[str, Any],
        *,
        faces: str | None = None,
        records: Sequence[SourceRecord] = (),
        settings: str = "",
        listing: str | None = None,
        table: pa.Table | None = None,
    ) -> None:
        self.path, self._encoder, self._faces, self._table = path, encoder, faces, table
        self._records, self._settings, self._listing = records, settings, listing
        output = staged_set(path, {"dim": encoder.dim, **job})
        super().__init__(output, GrowingArray(output.folder, (encoder.dim,), "<f4", lambda _: path.name))

    def append(
        self,
        vectors: NDArray[np.float32],
        faces: Sequence[Face],
        *,
        pictures_done: int,
        problems: Sequence[tuple[str, str]] = (),
        state: Any = None,  # noqa: ANN401 (any JSON value)
    ) -> None:
        """Add the (n, D) vectors of the next pictures; when this returns, they survive a kill.

        Arguments and errors as in `FaceSetWriter.append`.
        """
        self._add(vectors, faces if self._table is None else [], problems, pictures_done, state)

    def _is_complete(self) -> bool:
        try:
            there = EmbeddingSet.open(self.path)
            there.verify()
        except SetError:
            return False
        if there.job != self._output.digest:
            return False
        self.rows, self.pictures_done = len(there), there.pictures or 0
        return True

    def _commit(self) -> None:
        self._array.finish()
        table = pa.concat_tables([FACE_SCHEMA.empty_table(), *self._tables()]) if self._table is None else self._table
        complete = EmbeddingSet(
            self._array.mapped(),
            table,
            self._encoder,
            faces=self._faces,
            job=self._output.digest,
            pictures=self.pictures_done,
            listing=self._listing,
        )
        complete.commit(self._output, self._write_records if self._records else None)

    def _write_records(self, path: Path, vectors: str) -> None:
        write_records(self._records, path, self.path.resolve().parent, vectors, self._settings, dict(self.problems))
