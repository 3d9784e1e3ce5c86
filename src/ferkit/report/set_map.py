"""The map of a whole set: every face a point of the plane, alike ones beside each other; computed once and kept."""

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferkit._version import __version__
from ferkit.data.arrays import cached_array
from ferkit.data.cache_folder import cache_folder
from ferkit.data.embedding_set import EmbeddingSet
from ferkit.pipeline.fingerprint import digest

PROJECTION = "UMAP" if find_spec("umap") else "t-SNE"
"""How vectors become points: umap-learn's UMAP (arXiv:1802.03426) where it is installed, else scikit-learn's t-SNE
(JMLR 9, 2008, p. 2579)."""

_LANDMARKS = 4_000
"""Faces that t-SNE or UMAP lays out, in half a minute or so; all others find their places among these."""

_COMPONENTS = 50
_NEAR = 3
_FEWEST = 4
_BLOCK = 8_192


def set_map(embeddings: EmbeddingSet, folder: Path | None = None) -> NDArray[np.float32]:
    """Return the (N, 2) places of a set's faces in [0, 1], from the cache folder or for it.

    Args:
        embeddings: an opened embedding set.
        folder: where maps are kept; None takes ``maps`` in the cache folder.
    """
    content = (
        embeddings.sha256.get("vectors") or hashlib.sha256(np.ascontiguousarray(embeddings.vectors).data).hexdigest()
    )
    path = (folder or cache_folder() / "maps") / f"{digest([content, PROJECTION, str(_LANDMARKS), __version__])}.npy"
    return cached_array(path, (len(embeddings), 2), lambda: lay_out(embeddings.vectors))


def lay_out(vectors: NDArray[np.floating[Any]], landmarks: int = _LANDMARKS) -> NDArray[np.float32]:
    """Lay vectors out in the plane.

    Some, spread evenly over the set, are laid out by `project`; each other one stands at the mean of its three nearest
    of these.

    Args:
        vectors: (N, D) of length 1.
        landmarks: how many are laid out so, at least 4.

    Returns:
        (N, 2) in [0, 1].
    """
    if len(vectors) < _FEWEST:
        return np.column_stack([np.linspace(0.2, 0.8, len(vectors)), np.full(len(vectors), 0.5)]).astype(np.float32)
    rows = np.unique(np.linspace(0, len(vectors) - 1, min(landmarks, len(vectors))).round().astype(np.int64))
    landmark_vectors = np.asarray(vectors[rows], np.float32)
    places = _unit_square(project(landmark_vectors))
    if len(rows) == len(vectors):
        return places
    random, result = np.random.default_rng(0), np.empty((len(vectors), 2), np.float32)
    for start in range(0, len(vectors), _BLOCK):
        cosines = np.asarray(vectors[start : start + _BLOCK], np.float32) @ landmark_vectors.T
        near = np.argpartition(-cosines, _NEAR, axis=1)[:, :_NEAR]
        result[start : start + _BLOCK] = places[near].mean(axis=1)
    result += random.normal(0, 0.002, result.shape)  # equal neighbours would lie upon each other
    result[rows] = places
    clipped: NDArray[np.float32] = np.clip(result, 0, 1)
    return clipped


def project(vectors: NDArray[np.floating[Any]], *, seed: int = 0) -> NDArray[np.floating[Any]]:
    """Lay vectors out in the plane, neighbours beside each other; distances far off say nothing.

    Args:
        vectors: (N, D) of length 1, finite, N at least 4. Their first 50 principal components are taken.
        seed: of `PROJECTION`.

    Returns:
        (N, 2).
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    few = min(_COMPONENTS, *vectors.shape)
    # Of vectors that are all alike, the shares of variance, which are not used, are zeros over zeros.
    with np.errstate(invalid="ignore"):
        parts = PCA(few, svd_solver="full").fit_transform(vectors.astype(np.float64))
    if PROJECTION == "UMAP":
        import umap  # type: ignore[import-not-found]  # few have it

        near = min(15, len(parts) - 1)
        return np.asarray(umap.UMAP(n_neighbors=near, random_state=seed, n_jobs=1).fit_transform(parts))
    perplexity = min(30.0, (len(parts) - 1) / 3)
    return np.asarray(TSNE(perplexity=perplexity, init="random", random_state=seed).fit_transform(parts))


def _unit_square(places: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Turn the longest way across and bring both ways into [0, 1]; one that lies far off stands at the edge."""
    centred = places - places.mean(axis=0)
    turned = centred @ np.linalg.svd(centred.astype(np.float64), full_matrices=False)[2].T
    low, high = np.percentile(turned, [0.5, 99.5], axis=0)
    sides = np.where(high > low, high - low, 1)
    square: NDArray[np.float32] = np.clip((turned - (low + high) / 2) / (1.08 * sides) + 0.5, 0, 1).astype(np.float32)
    return square
