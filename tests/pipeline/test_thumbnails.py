import io

import numpy as np
import pytest
from PIL import Image

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.errors import InputError
from ferkit.pipeline import thumbnails as module
from ferkit.pipeline.thumbnails import Thumbnails
from ferkit.workflows.embed import embed


@pytest.fixture
def embeddings(crop_folder, run_folder, tmp_path):
    """Three pictures in crops/, embedded as they are."""
    embed(crop_folder(3), tmp_path / "emb.npy", encoder=run_folder, device="cpu")
    return EmbeddingSet.open(tmp_path / "emb.npy")


def test_they_are_cut_once(embeddings, tmp_path, monkeypatch, noise_crops):
    first = Thumbnails(embeddings, tmp_path / "kept").request(1).result(20)
    shown = np.asarray(Image.open(io.BytesIO(first))).astype(float)
    assert int(np.argmin([np.abs(shown - crop).mean() for crop in noise_crops(3)])) == 1

    monkeypatch.setattr(module, "row_crops", lambda *_: pytest.fail("cut again"))
    assert Thumbnails(embeddings, tmp_path / "kept").request(1).result(20) == first


def test_a_photo_that_was_replaced_is_never_shown_as_the_face(embeddings, tmp_path, noise_crops):
    Image.fromarray(noise_crops(9)[8]).save(tmp_path / "crops" / "1.png")
    (tmp_path / "crops" / "2.png").unlink()
    thumbnails = Thumbnails(embeddings, tmp_path / "kept")
    for row, why in ((1, "changed since"), (2, "not found")):
        with pytest.raises(InputError, match=why):
            thumbnails.request(row).result(20)


def test_a_folder_that_cannot_be_written_costs_no_picture(embeddings, tmp_path):
    (tmp_path / "kept").write_text("a file")
    assert Thumbnails(embeddings, tmp_path / "kept").request(0).result(20)
