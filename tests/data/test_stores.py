import sys
from pathlib import Path

import numpy as np
import pytest

import ferkit
from ferkit.data.embedding_parts import made_parts
from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.stores import copy_path, driver_mark, fetch_set, remote_url
from ferkit.errors import BusyError, InputError, OutputError, SetError


@pytest.fixture
def settings(run_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("FERKIT_CACHE", str(tmp_path / "cache"))
    return {"encoder": run_folder, "device": "cpu", "aligned": True}


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("memory:/photos", "memory://photos"),
        ("s3://bucket/a", "s3://bucket/a"),
        ("C:/photos", None),
        ("https://a/b.jpg", None),
        ("photos/a:/b", None),
        ("unknown://x", None),
    ],
)
def test_addresses_are_told_from_paths(path, url):
    assert remote_url(path) == url


def test_a_set_in_a_store_is_brought_up_to_date_and_only_changes_are_fetched(
    store, crop_folder, settings, tmp_path, monkeypatch
):
    folder = crop_folder(5)
    assert ferkit.embed(folder, "memory://out/emb.npy", **settings).faces == 5
    ferkit.embed(folder, tmp_path / "emb.npy", **settings)
    assert store.cat("/out/emb.npy") == (tmp_path / "emb.npy").read_bytes()
    monkeypatch.setenv("FERKIT_CACHE", str(tmp_path / "elsewhere"))  # another machine
    (folder / "4.png").unlink()
    assert tuple(ferkit.embed(folder, "memory://out/emb.npy", **settings).changes) == (0, 0, 1, 4)
    assert len(EmbeddingSet.open("memory://out/emb.npy")) == 4
    fetched = []
    monkeypatch.setattr(type(store), "get_file", lambda self, path, *more: fetched.append(path))
    assert len(EmbeddingSet.open("memory://out/emb.npy")) == 4
    assert fetched == []


def test_what_cannot_be_read_or_written_there_is_told(store, crop_folder, settings, monkeypatch):
    with pytest.raises(SetError, match=r"no set 'memory://out/emb\.npy'"):
        EmbeddingSet.open("memory://out/emb.npy")
    folder = crop_folder(3)

    def full(self, *given, **more):
        raise OSError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "put_file", full)
        with pytest.raises(OutputError, match=r"cannot write 'memory://out/emb\.npy'"):
            ferkit.embed(folder, "memory://out/emb.npy", **settings)
    said = ferkit.embed(folder, "memory://out/emb.npy", **settings)  # puts what is there
    assert (said.faces, len(EmbeddingSet.open("memory://out/emb.npy"))) == (3, 3)
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(InputError, match="package that is not installed"):
        EmbeddingSet.open("gs://bucket/emb.npy")


def test_a_second_driver_on_another_machine_is_refused(store, crop_folder, settings):
    folder = crop_folder(3)
    store.pipe_file("/out/emb/driver.json", b'{"host": "elsewhere", "since": "noon"}')
    with pytest.raises(BusyError, match=r"on elsewhere since noon; .* remove memory://out/emb/driver\.json"):
        ferkit.embed_parts(folder, "memory://out/emb", parts=2, **settings)
    store.rm_file("/out/emb/driver.json")
    assert ferkit.embed_parts(folder, "memory://out/emb", parts=2, **settings).made == 2
    assert not store.exists("/out/emb/driver.json")


@pytest.mark.filterwarnings("ignore")
def test_s3_gives_the_pictures_and_takes_the_parts(bucket, crop_folder, settings, tmp_path, monkeypatch):
    folder = crop_folder(5)
    bucket.put(str(folder), "faces/crops", recursive=True)
    ferkit.embed(folder, tmp_path / "emb.npy", **settings)
    ferkit.embed("s3://faces/crops", "s3://faces/emb", part="2/3", **settings)
    assert list(made_parts(Path("s3://faces/emb"), 3)) == [2]
    with pytest.raises(SetError, match="no set 's3://faces/emb'"):
        ferkit.Searcher("s3://faces/emb")
    monkeypatch.setenv("FERKIT_CACHE", str(tmp_path / "elsewhere"))  # another machine
    with driver_mark(Path("s3://faces/emb")), monkeypatch.context() as patch:
        patch.setattr("socket.gethostname", lambda: "elsewhere")
        with pytest.raises(BusyError, match="if it has died"):
            ferkit.embed_parts("s3://faces/crops", "s3://faces/emb", parts=3, **settings)
    result = ferkit.embed_parts("s3://faces/crops", "s3://faces/emb", parts=3, **settings)
    assert (result.faces, result.pictures, result.made) == (5, 5, 2)
    assert ferkit.embed_parts("s3://faces/crops", "s3://faces/emb", parts=3, **settings).made == 0
    one, many = EmbeddingSet.open(tmp_path / "emb.npy"), EmbeddingSet.open("s3://faces/emb")
    np.testing.assert_allclose(np.asarray(many.vectors), one.vectors, atol=1e-6)
    searcher = ferkit.Searcher("s3://faces/emb")
    assert searcher.query(one.vectors[3], 1)[1].tolist() == [3]
    assert fetch_set(copy_path(searcher.path)) == searcher.path
