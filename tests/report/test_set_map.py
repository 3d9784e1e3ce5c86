import numpy as np
import pytest

from ferkit.data.embedding_set import EmbeddingSet, EncoderStamp
from ferkit.data.faces import Face, faces_to_table
from ferkit.report import set_map as module
from ferkit.report.set_map import lay_out, set_map


def clusters(n):
    """n vectors around three far directions, in turn."""
    vectors = np.eye(3, 16)[np.arange(n) % 3] + np.random.default_rng(0).normal(0, 0.05, (n, 16))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("landmarks", [240, 60])
def test_alike_ones_lie_together(landmarks):
    places = lay_out(clusters(240), landmarks)
    assert places.shape == (240, 2)
    assert places.min() >= 0
    assert places.max() <= 1
    centres = np.stack([np.median(places[which::3], axis=0) for which in range(3)])
    nearest = np.linalg.norm(places[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == np.arange(240) % 3).mean() > 0.95


@pytest.mark.parametrize("n", [0, 1, 3, 4, 7])
def test_few_faces_have_places_too(n):
    places = lay_out(clusters(n))
    assert places.shape == (n, 2)
    assert np.isfinite(places).all()


def test_equal_vectors_do_no_harm():
    assert np.isfinite(lay_out(np.tile(clusters(1), (9, 1)))).all()


def test_it_is_computed_once(tmp_path, monkeypatch):
    known = {
        "clip": None,
        "identity": None,
        "time_s": None,
        "label": None,
        "box": None,
        "landmarks": None,
        "score": None,
    }
    faces = [Face(f"/{row}.jpg", 1, sha256="0" * 64, **known) for row in range(9)]
    stamp = EncoderStamp("none", "0" * 64, 16, "ferkit-128", 112)
    EmbeddingSet(clusters(9), faces_to_table(faces), stamp).save(tmp_path / "emb.npy")
    first = set_map(EmbeddingSet.open(tmp_path / "emb.npy"), tmp_path / "maps")
    monkeypatch.setattr(module, "lay_out", lambda _: pytest.fail("computed again"))
    np.testing.assert_array_equal(set_map(EmbeddingSet.open(tmp_path / "emb.npy"), tmp_path / "maps"), first)
    (tmp_path / "maps").rename(tmp_path / "other")
    with pytest.raises(pytest.fail.Exception):
        set_map(EmbeddingSet.open(tmp_path / "emb.npy"), tmp_path / "maps")
