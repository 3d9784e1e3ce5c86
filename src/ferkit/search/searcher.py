"""A set that stays open: its vectors, its encoder and a face detector, for one query after the other."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.file_state import file_state
from ferkit.data.stores import MANIFEST, fetch_set
from ferkit.progress import Progress, Silent
from ferkit.search.approximate import ApproximateIndex, StaleIndexError, index_path, read_index
from ferkit.search.index import FlatIndex

if TYPE_CHECKING:
    from ferkit.encoders.encoder import Encoder
    from ferkit.encoders.expression_head import ExpressionHead
    from ferkit.ops.rgb import AnyImage


_VERIFIED_BYTES = 1 << 26
"""Size up to which all vectors are compared with their digest before the first query."""


class Searcher:
    """An embedding set, opened once and asked many times; threads may share it.

    Nothing is loaded before it is needed: a query by vectors needs neither the encoder nor torch.

    Args:
        embeddings: the ``.npy`` file of an embedding set.
        encoder: where the set's encoder lies now, if it moved; another one is refused. None takes it by its name.
        device: ``cpu``, ``cuda``, …; None takes the best one present.
        progress: told how far an encoder is that must be fetched first, and of an index that does not fit.

    Attributes:
        path: the ``.npy`` file.
        set: the embedding set.

    Raises:
        SetError: the set is missing or damaged.
    """

    def __init__(
        self,
        embeddings: str | Path = "emb.npy",
        encoder: str | Path | None = None,
        device: str | None = None,
        *,
        progress: Progress | None = None,
    ) -> None:
        self.path = fetch_set(Path(embeddings))
        self.set = EmbeddingSet.open(self.path)
        self._named, self._device, self._progress = encoder, device, progress or Silent()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self.set)

    @cached_property
    def _index(self) -> FlatIndex | ApproximateIndex:
        """The index beside the set, where there is one that fits; else exact search."""
        if self.set.vectors.nbytes <= _VERIFIED_BYTES:
            self.set.verify()
        path = index_path(self.path)
        try:
            return read_index(self.set, path)
        except FileNotFoundError:
            pass
        except (StaleIndexError, OSError) as error:
            self._progress.say(
                f"{path} is not used: {error}; the search is exact, and `ferkit index {self.path}` makes it anew"
            )
        return FlatIndex(self.set.vectors, unit=self.set.normalized)

    @property
    def encoder(self) -> Encoder:
        """The set's encoder, loaded at the first use.

        Raises:
            SetError, EncoderMismatchError, WeightsError, …: as `ferkit.search.set_encoder.load_set_encoder`.
        """
        with self._lock:
            return self._encoder

    @cached_property
    def _encoder(self) -> Encoder:
        from ferkit.search.set_encoder import load_set_encoder  # brings torch

        return load_set_encoder(self.set, self.path, self._named, self._device, self._progress)

    @cached_property
    def head(self) -> ExpressionHead | None:
        """What reads expressions off the set's vectors, if its encoder has it; no network is loaded for it."""
        from ferkit.search.set_encoder import find_set_head  # brings torch

        return find_set_head(self.set, self._named, self._progress)

    def query(
        self,
        query: NDArray[Any] | AnyImage,
        k: int = 10,
        allowed: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return the most similar faces of the set, best first.

        Args:
            query: (Q, D) vectors or one (D,) vector of the set's encoder, of any length; a face of `ferkit.find_faces`;
                or an image as that takes it, of three dimensions: its largest face, or, of 128 x 128 pixels, itself.
            k: how many to return, at least 1.
            allowed: (N,) which rows may be returned; None for all.

        Returns:
            (Q, K) cosines in [-1, 1] and (Q, K) rows of the set, K the smaller of ``k`` and the allowed ones; (K,) of
            one vector or image.

        Raises:
            InputError: another shape, not finite, or ``k`` below 1.
            NoFaceError: the image shows no face.
            SetError: the set is damaged or has changed since it was written, or its encoder is not there.
        """
        is_vectors = isinstance(query, np.ndarray) and query.ndim < 3
        vectors = np.asarray(query) if is_vectors else self.vector(query)
        one = vectors.ndim != 2
        with self._lock:
            index = self._index
        scores, rows = index.query(np.atleast_2d(vectors), k, allowed=allowed)
        return (scores[0], rows[0]) if one else (scores, rows)

    def vector(self, image: AnyImage) -> NDArray[np.float32]:
        """Return the (D,) vector of an image or face, as `query` takes it."""
        from ferkit.faces.image_faces import largest_crop

        vectors: NDArray[np.float32] = self.encoder.embed(largest_crop(image, self._device))
        first: NDArray[np.float32] = vectors[0]
        return first


def open_searcher(
    embeddings: str | Path, encoder: str | Path | None, device: str | None, progress: Progress
) -> Searcher:
    """Return a `Searcher`: the one of the last call, if that was for the same and the set's files have not changed."""
    global _last
    path = fetch_set(Path(embeddings)).resolve()
    files = [path / MANIFEST, *(path.with_suffix(suffix) for suffix in (".npy", ".parquet", ".json", ".index"))]
    key = (path, encoder, device, *(file_state(file) for file in files if file.exists()))
    last = _last
    if last is None or last[0] != key:
        last = _last = (key, Searcher(embeddings, encoder, device, progress=progress))
    return last[1]


_last: tuple[tuple[object, ...], Searcher] | None = None
