import numpy as np
import pytest

from ferkit.report.set_map import lay_out
from samples import unit_rows


def clusters(n):
    """n vectors around three far directions, in turn."""
    return unit_rows(np.eye(3, 16)[np.arange(n) % 3] + np.random.default_rng(0).normal(0, 0.05, (n, 16)))


@pytest.mark.parametrize("landmarks", [240, 60])
def test_alike_ones_lie_together(landmarks):
    places = lay_out(clusters(240), landmarks)
    assert places.shape == (240, 2)
    assert places.min() >= 0
    assert places.max() <= 1
    centres = np.stack([np.median(places[which::3], axis=0) for which in range(3)])
    nearest = np.linalg.norm(places[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == np.arange(240) % 3).mean() > 0.95


@pytest.mark.parametrize("vectors", [*map(clusters, (0, 1, 3, 4, 7)), np.tile(clusters(1), (9, 1))])
def test_few_or_equal_faces_have_places_too(vectors):
    places = lay_out(vectors)
    assert places.shape == (len(vectors), 2)
    assert np.isfinite(places).all()
