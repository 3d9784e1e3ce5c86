import json
import os
import shutil
import signal
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ferkit.data.embedding_parts import made_parts, part_path
from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.stores import MANIFEST
from ferkit.errors import BusyError, InputError, MissingPathError, OutputError, SetError, UnknownNameError
from ferkit.locks import output_lock
from ferkit.pipeline import engine
from ferkit.search.searcher import Searcher
from ferkit.workflows.embed import embed, embed_parts


@pytest.fixture
def settings(run_folder):
    return {"encoder": run_folder, "device": "cpu", "aligned": True}


@pytest.fixture
def whole(crop_folder, settings, tmp_path):
    """The set of seven crops, made in one go, and their folder."""
    folder = crop_folder(7)
    embed(folder, tmp_path / "emb.npy", **settings)
    return EmbeddingSet.open(tmp_path / "emb.npy"), folder


def test_parts_are_read_as_the_set_that_they_are_together(whole, settings, tmp_path):
    one, folder = whole
    result = embed_parts(folder, tmp_path / "emb", parts=3, **settings)
    many = EmbeddingSet.open(tmp_path / "emb")
    assert (result.faces, result.pictures, result.parts, result.made) == (7, 7, 3, 3)
    assert many.table.equals(one.table)
    assert [many.face(row) for row in (6, 0, 3)] == [one.face(row) for row in (6, 0, 3)]
    np.testing.assert_allclose(np.asarray(many.vectors), one.vectors, atol=1e-6)
    np.testing.assert_array_equal(many.vectors[np.array([6, 0, 3])], np.asarray(many.vectors)[[6, 0, 3]])
    np.testing.assert_array_equal(many.vectors[1:6:2], np.asarray(many.vectors)[1:6:2])
    np.testing.assert_array_equal(many.vectors[-1], np.asarray(many.vectors)[-1])
    scores, rows = Searcher(tmp_path / "emb").query(np.asarray(one.vectors[:2]), 7)
    wanted_scores, wanted_rows = Searcher(tmp_path / "emb.npy").query(np.asarray(one.vectors[:2]), 7)
    np.testing.assert_allclose(scores, wanted_scores, atol=1e-5)
    np.testing.assert_array_equal(rows, wanted_rows)


def test_single_parts_make_the_set_whatever_their_order(whole, settings, tmp_path):
    _, folder = whole
    for part in ("2/2", "1/2"):
        with pytest.raises(SetError):
            EmbeddingSet.open(tmp_path / "emb")
        embed(folder, tmp_path / "emb", part=part, **settings)
    assert len(EmbeddingSet.open(tmp_path / "emb")) == 7
    (tmp_path / "emb" / MANIFEST).unlink()
    part_path(tmp_path / "emb", 2, 2).unlink()
    with pytest.raises(SetError, match=r"of its 2 parts 1 are missing \(2\)"):
        EmbeddingSet.open(tmp_path / "emb")


def test_finished_parts_are_not_made_again_unless_the_sources_changed(whole, settings, tmp_path, listener):
    _, folder = whole
    embed(folder, tmp_path / "emb", part="2/3", **settings)
    first = listener()
    assert embed_parts(folder, tmp_path / "emb", parts=3, progress=first, **settings).made == 2
    assert embed_parts(folder, tmp_path / "emb", parts=3, **settings).made == 0
    (folder / "6.png").unlink()
    assert embed_parts(folder, tmp_path / "emb", parts=3, **settings).made == 3
    assert len(EmbeddingSet.open(tmp_path / "emb")) == 6


def test_parts_that_do_not_belong_together_are_refused(whole, crop_folder, settings, tmp_path):
    _, folder = whole
    embed_parts(folder, tmp_path / "emb", parts=2, **settings)
    description = part_path(tmp_path / "emb", 2, 2).with_suffix(".json")
    text = description.read_text()
    description.write_text(json.dumps({**json.loads(text), "ferkit": "0.0.1"}))
    (tmp_path / "emb" / MANIFEST).unlink()
    with pytest.raises(SetError, match=r"part-00002.*ferkit 0\.0\.1 instead of"):
        embed_parts(folder, tmp_path / "emb", parts=2, **settings)
    description.write_text(text)
    embed_parts(folder, tmp_path / "emb", parts=2, **settings)
    shutil.copytree(tmp_path / "emb", tmp_path / "other")
    embed_parts(crop_folder(4, "four"), tmp_path / "other", parts=2, **settings)
    for file in (tmp_path / "other").glob("part-00001-*"):
        shutil.copy(file, tmp_path / "emb")
    with pytest.raises(SetError, match="not the one that its manifest lists"):
        EmbeddingSet.open(tmp_path / "emb")


def test_bad_arguments_are_told(whole, settings, tmp_path, monkeypatch):
    _, folder = whole
    with pytest.raises(InputError, match="7/64"):
        embed(folder, tmp_path / "emb", part="3/2", **settings)
    with pytest.raises(InputError, match="99,999"):
        embed_parts(folder, tmp_path / "emb", parts=0, **settings)
    with pytest.raises(UnknownNameError, match="engine"):
        embed_parts(folder, tmp_path / "emb", engine="slurm", **settings)
    with output_lock(tmp_path / "emb" / MANIFEST), pytest.raises(BusyError):
        embed_parts(folder, tmp_path / "emb", parts=2, **settings)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"ferkit\[ray\]"):
        embed_parts(folder, tmp_path / "emb", parts=2, engine="ray", **settings)


def test_a_full_disk_keeps_the_parts_that_are_finished(whole, settings, tmp_path, file_size_limit):
    _, folder = whole
    embed(folder, tmp_path / "emb", part="1/2", **settings)
    with file_size_limit(2000), pytest.raises(OutputError):
        embed_parts(folder, tmp_path / "emb", parts=2, **settings)
    assert list(made_parts(tmp_path / "emb", 2)) == [1]
    assert embed_parts(folder, tmp_path / "emb", parts=2, **settings).made == 1


class Dead(Exception):
    """What Ray raises when a worker is gone for good."""


class Exceptions:
    RayTaskError = type("RayTaskError", (Exception,), {})
    RayActorError = RayError = Dead


def gone(*given, **settings):
    raise Dead("no such module")


def refused(*given, **settings):
    raise ConnectionError("nobody listens")


def test_what_is_wrong_with_a_cluster_is_told(monkeypatch):
    """By answers such as Ray gives; the tests below start it."""
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=refused))
    with pytest.raises(InputError, match=r"no Ray cluster can be reached at 'ray://away:10001' \(nobody listens\)"):
        engine._connected("ray://away:10001")
    actor = SimpleNamespace(version=SimpleNamespace(remote=lambda: "0.0.1"))
    ray = SimpleNamespace(get=list, exceptions=Exceptions)
    with pytest.raises(InputError, match=r"the workers have ferkit 0\.0\.1 and this machine"):
        engine._require_own_version(ray, [actor])
    with pytest.raises(InputError, match="have no ferkit"):
        engine._require_own_version(SimpleNamespace(get=gone, exceptions=Exceptions), [actor])
    ray = SimpleNamespace(wait=lambda jobs, num_returns: (jobs[:1], jobs[1:]), get=gone, exceptions=Exceptions)
    with pytest.raises(InputError, match="again and again at part 1"):
        list(engine._shared_out(ray, [lambda number: f"job {number}"], [1, 2]))


@pytest.fixture
def own_cluster(monkeypatch):
    """A cluster of two that lasts for one test."""
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    original = ray.init
    monkeypatch.setattr(ray, "init", lambda **settings: original(num_cpus=2, **{**settings, "address": None}))
    return ray


needs_cluster = pytest.mark.skipif("FERKIT_NODES" not in os.environ, reason="starts Ray: set FERKIT_NODES=1")


@needs_cluster
@pytest.mark.filterwarnings("ignore")
def test_ray_s_workers_make_the_same_bytes_and_a_killed_one_costs_one_part(
    whole, settings, tmp_path, own_cluster, monkeypatch
):
    _, folder = whole
    embed_parts(folder, tmp_path / "alone", parts=4, **settings)
    (tmp_path / "marker").mkdir()

    class Mortal(engine._Worker):
        """Dies by a kill in the middle of the second part, once."""

        def make(self, number):
            if number == 2 and not any((tmp_path / "marker").iterdir()):
                (tmp_path / "marker" / "killed").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().make(number)

    monkeypatch.setattr(engine, "_Worker", Mortal)
    result = embed_parts(folder, tmp_path / "emb", parts=4, engine="ray", processes=2, **settings)
    assert (result.faces, result.made, (tmp_path / "marker" / "killed").exists()) == (7, 4, True)
    for number in range(1, 5):
        paths = [part_path(tmp_path / name, number, 4) for name in ("alone", "emb")]
        assert paths[0].read_bytes() == paths[1].read_bytes()
    assert list(made_parts(tmp_path / "emb", 4)) == [1, 2, 3, 4]


@needs_cluster
@pytest.mark.filterwarnings("ignore")
def test_what_a_worker_cannot_do_is_told_in_its_own_sentence(whole, settings, tmp_path, own_cluster, monkeypatch):
    _, folder = whole

    class Bare(engine._Worker):
        """Runs where the encoder of the driver is not."""

        def make(self, number):
            open_here = self._open_job
            self._open_job = lambda progress: replace(open_here(progress), encoder="/nowhere.safetensors")
            return super().make(number)

    monkeypatch.setattr(engine, "_Worker", Bare)
    with pytest.raises(MissingPathError, match="nowhere"):
        embed_parts(folder, tmp_path / "emb", parts=2, engine="ray", **settings)
