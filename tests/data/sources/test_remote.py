import sys

import numpy as np
import pytest

import samples
from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.sources import find_picture, open_sources
from ferkit.errors import InputError, MissingPathError, UnreadableImageError
from ferkit.workflows.embed import embed, embed_parts
from samples import noise


def png(seed):
    return samples.png(noise(1, seed=seed)[0])


@pytest.fixture
def store(store):
    for seed, name in enumerate(["joy/2.png", "joy/10.png", "fear/a#b.png", "fear/notes.txt", "joy/.hidden.png"]):
        store.pipe(f"/photos/{name}", png(seed))
    return store


def test_images_below_an_address_are_listed_with_their_classes(store):
    store.pipe("/photos/joy/clip.mp4", b"video")
    pictures = open_sources(["memory://photos"]).pictures
    assert [(picture.source, picture.label) for picture in pictures] == [
        ("memory://photos/fear/a%23b.png", "fear"),
        ("memory://photos/joy/2.png", "joy"),
        ("memory://photos/joy/10.png", "joy"),
        ("memory://photos/joy/clip.mp4", None),
    ]
    assert pictures[1].read().shape == (128, 128, 3)
    np.testing.assert_array_equal(find_picture(pictures[0].source).read(), pictures[0].read())
    with pytest.raises(UnreadableImageError, match="disks alone"):
        pictures[3].read()


def test_what_is_not_there_is_told(store):
    with pytest.raises(MissingPathError, match="nothing is there"):
        open_sources(["memory://nowhere"])
    (picture,) = open_sources(["memory://photos/joy/2.png"]).pictures
    store.rm("/photos/joy/2.png")
    with pytest.raises(UnreadableImageError, match="not there any more"):
        picture.read()


def test_a_store_whose_package_is_missing_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(InputError, match=r"'gs://bucket/photos' needs a package that is not installed \(.*gcs"):
        open_sources(["gs://bucket/photos"])


def test_parts_of_an_address_are_embedded_and_only_changes_are_fetched(store, run_folder, tmp_path, monkeypatch):
    settings = {"encoder": run_folder, "device": "cpu", "aligned": True}
    embed_parts("memory://photos", tmp_path / "emb", parts=2, **settings)
    embed("memory://photos", tmp_path / "emb.npy", **settings)
    whole, parts = EmbeddingSet.open(tmp_path / "emb.npy"), EmbeddingSet.open(tmp_path / "emb")
    assert parts.table.equals(whole.table)
    assert whole.column("label").to_pylist() == ["fear", "joy", "joy"]
    fetched = []
    original = type(store).cat_file
    monkeypatch.setattr(type(store), "cat_file", lambda self, name: fetched.append(name) or original(self, name))
    store.pipe("/photos/joy/3.png", png(9))
    result = embed("memory://photos", tmp_path / "emb.npy", **settings)
    assert tuple(result.changes) == (1, 0, 0, 3)
    assert set(fetched) == {"/photos/joy/3.png"}
