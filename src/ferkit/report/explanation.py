"""Where a likeness comes from: what covering a part of either face costs it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.evaluation.occlusion import occlusion_map
from ferkit.pipeline.examples import Examples
from ferkit.progress import Progress
from ferkit.search.hits import Hit
from ferkit.search.searcher import Searcher

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST = 5

Pixels = NDArray[np.uint8]


def draw_explanation(
    examples: Examples, hits: Sequence[Hit], crops: Sequence[Pixels | str], searcher: Searcher, progress: Progress
) -> Figure:
    """Draw query and hit side by side, each with what the cosine loses where it is covered; of the best five hits.

    Args:
        examples: what was asked with; the first of the positives is shown.
        hits: best first.
        crops: of the hits; a text where there is none.
        searcher: the set, whose encoder sees the covered faces.
        progress: told of every pair.

    Raises:
        InputError: the query is no picture, or no picture of the hits is there.
    """
    from matplotlib.figure import Figure

    asked = examples.positives[0]
    pairs = [(hit, crop) for hit, crop in zip(hits, crops, strict=True) if not isinstance(crop, str)][:_MOST]
    if isinstance(asked.crop, str) or not pairs:
        raise InputError("--explain needs a picture of a face to ask with, and hits whose pictures are there")
    rows = len(pairs)
    progress.start("explaining", rows, unit="hits")
    figure = Figure(figsize=(8.4, 2.15 * rows + 0.3), layout="constrained")
    axes = figure.subplots(rows, 4, squeeze=False)
    for (query, query_map, found, found_map), (hit, crop) in zip(axes, pairs, strict=True):
        vector = np.asarray(searcher.set.vectors[hit.row])
        of_query = occlusion_map(partial(_cosines, searcher, vector), asked.crop[None])
        of_hit = occlusion_map(partial(_cosines, searcher, asked.vector), crop[None])
        for axis, shown in ((query, asked.crop), (query_map, asked.crop), (found, crop), (found_map, crop)):
            axis.imshow(shown)
            axis.set_axis_off()
        for axis, drop in ((query_map, of_query.drop), (found_map, of_hit.drop)):
            peak = max(float(np.abs(drop).max()), 1e-6)
            axis.imshow(drop, cmap="RdBu_r", vmin=-peak, vmax=peak, alpha=0.55)
            axis.set_title(f"covering costs {drop.max():.2f} at most", fontsize=8, color="#7a808c")
        query.set_title("query", fontsize=9)
        found.set_title(f"#{hit.rank}   {hit.score:.3f}", fontsize=9)
        progress.advance(1)
    return figure


def _cosines(searcher: Searcher, vector: NDArray[np.float32], faces: Pixels) -> NDArray[np.float32]:
    cosines: NDArray[np.float32] = searcher.encoder.embed(faces) @ vector
    return cosines
