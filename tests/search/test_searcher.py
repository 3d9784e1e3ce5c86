import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import ferkit
from ferkit.data.embedding_set import EmbeddingSet
from ferkit.errors import InputError, NoFaceError, SetError
from ferkit.progress import Silent
from ferkit.search import searcher as searcher_module
from ferkit.search.searcher import Searcher, open_searcher


@pytest.fixture
def people(make_face_set, noise_crops, run_folder, tmp_path):
    """Six crops, embedded as emb.npy."""
    faces = make_face_set(noise_crops(6))
    ferkit.embed(faces.path, tmp_path / "emb.npy", encoder=run_folder, device="cpu")
    return tmp_path / "emb.npy"


def test_vectors_and_crops_ask_alike(people, noise_crops):
    searcher = ferkit.Searcher(people, device="cpu")
    scores, rows = searcher.query(noise_crops(6)[2], k=3)
    assert (rows[0], scores.shape) == (2, (3,))
    many = searcher.query(searcher.set.vectors[[2, 4]], k=3)
    np.testing.assert_array_equal(many[1][0], rows)
    np.testing.assert_allclose(many[0][0], scores, atol=1e-6)
    assert many[1][1, 0] == 4
    allowed = np.arange(6) != 2
    assert rows[1:].tolist() == searcher.query(searcher.set.vectors[2], 2, allowed)[1].tolist()


def test_of_a_photo_the_largest_face_asks(portraits, run_folder, tmp_path):
    ferkit.embed(portraits["astronaut"], tmp_path / "emb.npy", encoder=run_folder, device="cpu")
    searcher = Searcher(tmp_path / "emb.npy", device="cpu")
    scores, rows = searcher.query(np.asarray(Image.open(portraits["astronaut"])))
    assert rows.tolist() == [0]
    assert scores == pytest.approx([1], abs=1e-4)
    with pytest.raises(NoFaceError):
        searcher.query(np.zeros((200, 200, 3), np.uint8))
    with pytest.raises(InputError, match="RGB"):
        searcher.query(np.zeros((200, 200, 4), np.uint8))


def test_vectors_ask_without_torch(people):
    code = f"""
import sys, numpy as np, ferkit
searcher = ferkit.Searcher({str(people)!r})
assert searcher.query(np.load({str(people)!r})[3], 1)[1].tolist() == [3]
sys.exit(bool({{"torch", "timm", "faiss"}} & sys.modules.keys()))
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_last_set_stays_open_until_it_changes(people):
    def opened():
        return open_searcher(people, None, "cpu", Silent())

    first = opened()
    assert opened() is first
    again = EmbeddingSet.open(people)
    EmbeddingSet(-again.vectors, again.table, again.encoder).save(people)
    assert opened() is not first
    assert searcher_module._last[1].set.vectors[0, 0] == -again.vectors[0, 0]
    people.unlink()
    with pytest.raises(SetError, match="no embedding set"):
        opened()
