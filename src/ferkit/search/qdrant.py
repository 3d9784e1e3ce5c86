"""Embedding sets as collections of Qdrant, for those who run a search cluster."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.faces import FACE_SCHEMA
from ferkit.errors import InputError, OutputError
from ferkit.progress import Progress

_BATCH = 256
_INDEXED = {
    **dict.fromkeys(("source", "clip", "identity", "label", "sha256"), "keyword"),
    **dict.fromkeys(("valence", "arousal", "size", "sharpness", "yaw", "pitch", "roll", "score"), "float"),
}
"""Columns that a server filters by without looking at every face."""


@contextmanager
def qdrant_client(**where: Any) -> Iterator[Any]:  # noqa: ANN401 (a client)
    """Yield a client of a server (``url``, ``api_key``) or of a folder (``path``).

    Raises:
        InputError: the client is not installed.
        OutputError: the server cannot be reached, or refuses what the block asks for.
    """
    try:
        from qdrant_client import QdrantClient
        from qdrant_client.http.exceptions import ApiException
    except ImportError:
        raise InputError("the client of Qdrant is not installed; `pip install 'ferkit[qdrant]'`") from None
    client = QdrantClient(**where, check_compatibility=False)
    try:
        yield client
    except ApiException as error:
        why = " ".join(str(error).split())[:200]
        raise OutputError(f"Qdrant at {where.get('url')!r} cannot be written ({why}); is it running there?") from error
    finally:
        client.close()


def write_collection(client: Any, name: str, embeddings: EmbeddingSet, progress: Progress) -> None:  # noqa: ANN401
    """Make a collection of a set: id is the row, the payload are the columns that have a value.

    Filters know the names of the columns: ``FieldCondition(key="label", match=MatchValue(value="fear"))``.

    Args:
        client: of `qdrant_client`.
        name: of the collection.
        embeddings: the set.
        progress: told of every batch.

    Raises:
        OutputError: there is such a collection already.
    """
    from qdrant_client import models

    if client.collection_exists(name):
        raise OutputError(f"the collection {name!r} is there already; remove it, or give the set another name")
    encoder = {"encoder": embeddings.encoder.name, "encoder_sha256": embeddings.encoder.sha256}
    vectors = models.VectorParams(size=embeddings.encoder.dim, distance=models.Distance.COSINE, on_disk=True)
    client.create_collection(name, vectors, metadata=encoder)
    if not hasattr(client._client, "location"):  # the local mode, which looks at every face
        for column, kind in _INDEXED.items():
            client.create_payload_index(name, column, kind)
    for start in range(0, len(embeddings), _BATCH):
        block = np.asarray(embeddings.vectors[start : start + _BATCH])
        rows = list(range(start, start + len(block)))
        faces = [{column: getattr(face, column) for column in FACE_SCHEMA.names} for face in embeddings.faces_of(rows)]
        known = [{column: value for column, value in face.items() if value is not None} for face in faces]
        client.upsert(name, models.Batch(ids=rows, vectors=block.tolist(), payloads=known))
        progress.advance(len(block))
