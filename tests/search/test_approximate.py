from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.errors import BusyError, InputError, OutputError
from ferkit.locks import output_lock
from ferkit.search import approximate, build_index
from ferkit.search.approximate import StaleIndexError, index_path, read_index
from ferkit.search.build_index import choose_plan, size_of
from ferkit.search.index import FlatIndex
from ferkit.search.searcher import Searcher
from ferkit.workflows.index import index
from samples import unit_rows, write_set

GB = 10**9


def write_clusters(path, count, seed=0, dim=16):
    """Vectors in 40 clusters, as faces of few expressions are."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(40, dim))
    vectors = unit_rows(centres[random.integers(40, size=count)] + 0.4 * random.normal(size=(count, dim)))
    write_set(path, vectors)
    return vectors


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("sets") / "emb.npy"
    return path, write_clusters(path, 4000)


@pytest.fixture
def indexed(large, tmp_path):
    """A copy of the set with its index."""
    for file in large[0].parent.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path / "emb.npy", large[1], index(tmp_path / "emb.npy", kind="ivf")


@pytest.mark.parametrize("kind", ["hnsw", "ivf", "ivfpq", "disk"])
def test_an_index_reaches_its_recall_and_says_so(tmp_path, kind):
    vectors = write_clusters(tmp_path / "emb.npy", 10_000 if kind in ("ivfpq", "disk") else 2000)
    result = index(tmp_path / "emb.npy", kind=kind, recall=0.9)
    files = [tmp_path / "emb.index", *tmp_path.glob("emb.*.lists")]
    assert (result.kind, result.path, len(files)) == (kind, files[0], 1 + (kind == "disk"))
    assert result.bytes == sum(file.stat().st_size for file in files)
    queries = vectors[1:200:2]
    scores, rows = Searcher(tmp_path / "emb.npy").query(queries, k=10)
    exact = FlatIndex(vectors).query(queries, k=10)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(rows.tolist(), exact[1].tolist(), strict=True)])
    assert min(recall, result.recall) >= 0.85
    assert abs(recall - result.recall) < 0.1
    np.testing.assert_allclose(scores, np.einsum("qkd,qd->qk", vectors[rows], queries), atol=1e-5)
    assert (np.diff(scores, axis=1) <= 0).all()


def test_a_selective_filter_is_exact_and_a_broad_one_keeps_to_it(indexed):
    path, vectors, _ = indexed
    searcher, random = Searcher(path), np.random.default_rng(1)
    few = random.random(len(vectors)) < 0.001
    _, rows = searcher.query(vectors[0], 50, few)
    assert sorted(rows.tolist()) == np.flatnonzero(few)[:50].tolist()
    most = random.random(len(vectors)) < 0.6
    _, rows = searcher.query(vectors[:20], 10, most)
    assert rows.shape == (20, 10)
    assert most[rows].all()
    exact = FlatIndex(vectors).query(vectors[:20], 10, allowed=most)[1]
    assert np.mean([len(set(a) & set(b)) for a, b in zip(rows.tolist(), exact.tolist(), strict=True)]) > 8
    _, rows = searcher.query(vectors[0], len(vectors) + 5)  # more than there are
    assert sorted(rows.tolist()) == list(range(len(vectors)))


def test_lists_on_the_disk_are_built_part_by_part(tmp_path, monkeypatch, capfd):
    vectors = write_clusters(tmp_path / "emb.npy", 10_000)
    monkeypatch.setattr(build_index, "_BLOCK", 1500)
    index(tmp_path / "emb.npy", kind="disk", memory=50_000)
    index(tmp_path / "emb.npy", kind="disk", memory=50_000)  # in the place of the first, whose lists go
    (lists,) = tmp_path.glob("emb.*.lists")
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]
    _, rows = Searcher(tmp_path / "emb.npy").query(vectors[::100], 1)
    assert (rows[:, 0] == np.arange(0, 10_000, 100)).mean() > 0.9
    assert capfd.readouterr().out == ""
    lists.write_bytes(lists.read_bytes()[:-1])
    with pytest.raises(StaleIndexError, match="cut short"):
        read_index(EmbeddingSet.open(tmp_path / "emb.npy"), tmp_path / "emb.index")
    assert index(tmp_path / "emb.npy", kind="flat").path is None
    assert not list(tmp_path.glob("*.lists"))


def test_a_build_on_the_disk_that_was_killed_goes_on_with_the_parts_that_are_there(tmp_path, monkeypatch, listener):
    write_clusters(tmp_path / "emb.npy", 10_000)
    monkeypatch.setattr(build_index, "_BLOCK", 1500)
    settings = {"kind": "disk", "memory": 50_000}
    index(tmp_path / "emb.npy", **settings)
    unbroken = (tmp_path / "emb.index").read_bytes(), next(tmp_path.glob("emb.*.lists")).read_bytes()
    written, write = [], approximate.faiss().write_index

    def killed(built, path):
        written.append(path)
        write(built, path)
        if len(written) == 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(approximate.faiss(), "write_index", killed)
        with pytest.raises(KeyboardInterrupt):
            index(tmp_path / "emb.npy", **settings)
    second = tmp_path / "emb.index.partial" / "1500.index"
    second.write_bytes(second.read_bytes()[:-9] + b"otherwise")  # it and what follows is made again
    progress = listener()
    index(tmp_path / "emb.npy", progress=progress, **settings)
    assert ("adding", 10_000, 1500) in progress.started
    assert "training" not in [task for task, *_ in progress.started]
    assert next(tmp_path.glob("emb.*.lists")).read_bytes() == unbroken[1]
    assert not (tmp_path / "emb.index.partial").exists()


def test_two_builds_of_one_index_and_a_folder_in_the_way_are_refused(tmp_path):
    write_clusters(tmp_path / "emb.npy", 1000)
    with output_lock(tmp_path / "emb.index"), pytest.raises(BusyError):
        index(tmp_path / "emb.npy", kind="ivf")
    (tmp_path / "emb.index.partial").mkdir()
    (tmp_path / "emb.index.partial" / "letters.txt").touch()
    with pytest.raises(OutputError, match="not ferkit's"):
        index(tmp_path / "emb.npy", kind="ivf")


def test_a_disk_that_is_too_small_for_the_lists_is_told(tmp_path, monkeypatch):
    write_clusters(tmp_path / "emb.npy", 10_000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(OutputError, match=r"takes 0\.2 MB of disk, and 0\.001 MB are free"):
        index(tmp_path / "emb.npy", kind="disk")
    assert not list(tmp_path.glob("*.lists"))


def test_vectors_of_16_bits_are_searched_as_those_of_32(tmp_path):
    vectors = write_clusters(tmp_path / "emb.npy", 3000)
    one = EmbeddingSet.open(tmp_path / "emb.npy")
    replace(one, vectors=vectors.astype(np.float16)).save(tmp_path / "half.npy")
    half = EmbeddingSet.open(tmp_path / "half.npy")
    half.verify()
    assert (half.vectors.dtype, half.vectors[:5].dtype, half.vectors[3].dtype) == (np.float32,) * 3
    assert half.vectors.nbytes == one.vectors.nbytes / 2
    scores, rows = Searcher(tmp_path / "half.npy").query(vectors[:50], 3)
    exact = Searcher(tmp_path / "emb.npy").query(vectors[:50], 3)
    np.testing.assert_allclose(scores, exact[0], atol=1e-3)
    assert (rows[:, 0] == np.arange(50)).all()
    assert index(tmp_path / "half.npy", kind="ivf", recall=0.9).recall > 0.85


def half(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flipped(file):
    content = bytearray(file.read_bytes())
    content[5000] ^= 255
    file.write_bytes(content)


def endless(file):
    content = file.read_bytes()
    file.write_bytes(content[:-23] + b"\xff" * 8 + content[-15:])


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (half, "cut short, or was made by another ferkit"),
        (flipped, "it is damaged"),
        (endless, "it is damaged"),
        (
            lambda file: write_clusters(file.with_name("emb.npy"), 4000, seed=1),
            "of other vectors than the set",
        ),
    ],
)
def test_an_index_that_does_not_fit_is_said_and_not_used(indexed, listener, damage, why):
    path, _, _ = indexed
    damage(index_path(path))
    told = listener()
    searcher = Searcher(path, progress=told)
    vectors = np.array(searcher.set.vectors)
    assert searcher.query(vectors[7], 3)[1].tolist() == FlatIndex(vectors).query(vectors[7:8], 3)[1][0].tolist()
    (said,) = told.said
    assert why in said
    assert f"ferkit index {path}" in said
    index(path, kind="ivf")
    again = listener()
    Searcher(path, progress=again).query(vectors[7], 3)
    assert again.said == []


def test_flat_removes_the_index_and_auto_takes_it_for_small_sets(indexed):
    path, _, made = indexed
    assert made.path.exists()
    result = index(path)
    assert (result.kind, result.path, result.recall) == ("flat", None, 1.0)
    assert "4,000 vectors are compared one by one" in result.why
    assert not made.path.exists()


def test_the_choice_follows_rows_memory_and_kind():
    assert choose_plan(49_999, 512, "auto", 4 * GB, 0.95)[0] is None
    plan, why = choose_plan(1_000_000, 512, "auto", 4 * GB, 0.95)
    assert (plan.kind, plan.factory) == ("ivf", "IVF1024,SQ8")
    assert why.startswith("ivf: codes of 512 bytes in 1,024 cells take 0.52 GB beside the 2 GB of vectors")
    assert "the 2 GB of vectors" in why
    assert "the 1 GB of vectors" in choose_plan(1_000_000, 512, "auto", 4 * GB, 0.95, stored=1_024_000_000)[1]
    assert choose_plan(1_000_000, 512, "auto", GB // 4, 0.95)[0].factory == "IVF1024,PQ128x4fs"
    assert choose_plan(200_000, 100, "ivfpq", GB, 0.95)[0].factory == "IVF512,PQ25x4fs"
    assert size_of("ivfpq", 1_000_000, 512) < 100e6


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"kind": "annoy"}, "'annoy'"),
        ({"recall": float("nan")}, "recall"),
        ({"memory": "lots"}, "'lots'"),
        ({"memory": "10KB", "kind": "ivf"}, "more than memory"),
        ({"kind": "ivfpq"}, "10,000"),
    ],
)
def test_mistakes_are_one_sentence(large, settings, why):
    with pytest.raises(InputError, match=why):
        index(large[0], **settings)
