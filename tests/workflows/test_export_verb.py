import contextlib
import io
import json
import sys

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.errors import InputError, OutputError, UnknownNameError
from ferkit.search.qdrant import write_collection
from ferkit.workflows.embed import embed
from ferkit.workflows.export import TOOLS, export


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


def test_a_qdrant_collection_is_searched_and_filtered_as_the_set(emb, monkeypatch):
    qdrant = pytest.importorskip("qdrant_client")
    result = export(emb, "qdrant")
    vectors = np.asarray(EmbeddingSet.open(emb).vectors)
    with contextlib.closing(qdrant.QdrantClient(path=str(result.path))) as client:
        assert client.get_collection("ferkit").config.metadata["encoder"] == EmbeddingSet.open(emb).encoder.name
        found = client.query_points("ferkit", vectors[1].tolist(), limit=5).points
        assert [point.id for point in found] == np.argsort(-(vectors @ vectors[1])).tolist()
        fear = qdrant.models.FieldCondition(key="label", match=qdrant.models.MatchValue(value="fear"))
        found = client.query_points(
            "ferkit", vectors[0].tolist(), query_filter=qdrant.models.Filter(must=[fear])
        ).points
        assert {point.id for point in found} == {1, 3}
        assert found[0].payload["sha256"] == EmbeddingSet.open(emb).face(found[0].id).sha256
        assert "identity" not in found[0].payload
    with pytest.raises(OutputError, match=r"http://127\.0\.0\.1:9.*is it running"):
        export(emb, "qdrant", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "qdrant_client", None)
    with pytest.raises(InputError, match=r"ferkit\[qdrant\]"):
        export(emb, "qdrant", "other")


def test_a_collection_on_a_server_is_indexed_and_never_replaced(emb, listener):
    class Server:
        """What is asked of a server's client."""

        _client, calls = object(), []

        def collection_exists(self, name):
            return name == "taken"

        def __getattr__(self, name):
            return lambda *given, **more: self.calls.append((name, *given))

    server = Server()
    write_collection(server, "emb", EmbeddingSet.open(emb), listener())
    assert ("create_payload_index", "emb", "label", "keyword") in server.calls
    assert [len(call[2].ids) for call in server.calls if call[0] == "upsert"] == [5]
    with pytest.raises(OutputError, match="there already"):
        write_collection(server, "taken", EmbeddingSet.open(emb), listener())


@pytest.mark.parametrize("to", [name for name in TOOLS if name != "qdrant"])
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
    with pytest.raises(UnknownNameError, match="fiftyone"):
        export(emb, "fiftytwo")
    assert (emb.parent / "mine").read_text() == "mine"
