import io
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.errors import OutputError
from ferkit.workflows.embed import embed
from ferkit.workflows.export import TOOLS, UnknownToolError, export


@pytest.fixture
def emb(make_face_set, noise_crops, run_folder, tmp_path, monkeypatch):
    """Five faces of a face set; the label of the last is not known."""
    monkeypatch.setenv("FERKIT_CACHE", str(tmp_path / "cache"))
    faces = make_face_set(noise_crops(5), label=lambda row: ("joy", "fear", "joy", "fear", None)[row])
    embed(faces.path, tmp_path / "emb.npy", encoder=run_folder, device="cpu")
    return tmp_path / "emb.npy"


def nearest_crop(content, crops):
    shown = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(float)
    return int(np.argmin([np.abs(shown - crop).mean() for crop in crops]))


@pytest.mark.parametrize(("to", "image"), [("parquet", "thumbnail"), ("embedding-atlas", "image")])
def test_a_table_holds_vectors_pictures_and_places(emb, noise_crops, to, image):
    result = export(emb, to)
    rows = pq.read_table(result.path).to_pylist()
    assert (result.faces, result.without_picture, len(rows)) == (5, 0, 5)
    np.testing.assert_array_equal([row["vector"] for row in rows], EmbeddingSet.open(emb).vectors)
    assert [nearest_crop(row[image]["bytes"], noise_crops(5)) for row in rows] == list(range(5))
    assert [row["label"] for row in rows] == ["joy", "fear", "joy", "fear", None]
    x, y = ("x", "y") if to == "parquet" else ("projection_x", "projection_y")
    assert len({(row[x], row[y]) for row in rows}) == 5
    assert all(0 <= row[x] <= 1 and 0 <= row[y] <= 1 for row in rows)


def test_the_atlas_knows_the_nearest_faces(emb):
    rows = pq.read_table(export(emb, "embedding-atlas").path).to_pylist()
    vectors = EmbeddingSet.open(emb).vectors.astype(np.float64)
    for row, cosines in zip(rows, vectors @ vectors.T, strict=True):
        assert row["neighbors"]["ids"] == np.argsort(-cosines).tolist()
        np.testing.assert_allclose(row["neighbors"]["distances"], np.sort(1 - cosines), atol=1e-6)


def test_a_fiftyone_dataset_is_whole(emb, noise_crops):
    folder = export(emb, "fiftyone").path
    samples = json.loads((folder / "samples.json").read_text())["samples"]
    metadata = json.loads((folder / "metadata.json").read_text())
    declared = {field["name"] for field in metadata["sample_fields"]}
    for row, sample in enumerate(samples):
        assert nearest_crop((folder / sample["filepath"]).read_bytes(), noise_crops(5)) == row
        assert {name for name in sample if not name.startswith("_")} <= declared
    np.testing.assert_allclose([sample["vector"] for sample in samples], EmbeddingSet.open(emb).vectors, atol=1e-7)
    assert samples[1]["label"]["label"] == "fear"
    assert "label" not in samples[4]


@pytest.mark.parametrize("to", TOOLS)
def test_pictures_that_are_gone_are_counted(crop_folder, run_folder, tmp_path, monkeypatch, to):
    monkeypatch.setenv("FERKIT_CACHE", str(tmp_path / "cache"))
    embed(crop_folder(4), tmp_path / "emb.npy", encoder=run_folder, device="cpu")
    (tmp_path / "crops" / "2.png").unlink()
    assert export(tmp_path / "emb.npy", to).without_picture == 1


def test_nothing_is_replaced(emb):
    (emb.parent / "mine").write_text("mine")
    with pytest.raises(OutputError, match="there already"):
        export(emb, "parquet", emb.with_suffix(".parquet"))
    with pytest.raises(OutputError, match="there already"):
        export(emb, "fiftyone", emb.parent / "mine")
    with pytest.raises(UnknownToolError, match="fiftyone"):
        export(emb, "fiftytwo")
    assert (emb.parent / "mine").read_text() == "mine"
