import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.encoders.encoder import load_encoder
from ferkit.encoders.runtimes import is_installed
from ferkit.errors import EncoderMismatchError
from ferkit.pipeline import face_stream as faces_of
from ferkit.pipeline import source_stream
from ferkit.workflows.align import align
from ferkit.workflows.embed import embed
from ferkit.workflows.retrieve import retrieve

SUFFIXES = (".npy", ".parquet", ".json")


def set_bytes(path):
    return [path.with_suffix(suffix).read_bytes() for suffix in SUFFIXES]


def test_every_row_of_a_face_set_gets_its_own_vector(make_face_set, noise_crops, run_folder, tmp_path):
    crops = noise_crops(5)
    faces = make_face_set(crops, label=lambda row: f"label {row}")
    result = embed(faces.path, tmp_path / "emb.npy", encoder=run_folder, device="cpu")
    made = EmbeddingSet.open(tmp_path / "emb.npy")
    np.testing.assert_allclose(made.vectors, load_encoder(run_folder, "cpu").embed(crops), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(made.vectors, axis=1), 1, atol=1e-5)
    assert [made.face(row) for row in range(5)] == [faces.face(row) for row in range(5)]
    assert made.faces == str(faces.path)
    assert (result.faces, result.pictures, result.path) == (5, 5, tmp_path / "emb.npy")


def test_the_set_names_its_encoder_so_that_it_is_found_again(crop_folder, run_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(run_folder.parent)
    embed(crop_folder(2), tmp_path / "emb.npy", encoder="untrained", device="cpu")
    stamp = EmbeddingSet.open(tmp_path / "emb.npy").encoder
    assert stamp.name == str(run_folder)
    assert (stamp.sha256, stamp.dim, stamp.crop) == (load_encoder(stamp.name).sha256, 512, "ferkit-128")


def test_photos_and_their_face_set_give_the_same_vectors(portraits, run_folder, tmp_path):
    faces = align(portraits["both"], tmp_path / "faces", min_face=60)
    embed(faces.path, tmp_path / "a.npy", encoder=run_folder, device="cpu")
    embed(portraits["both"], tmp_path / "b.npy", encoder=run_folder, device="cpu", min_face=60)
    a, b = (EmbeddingSet.open(tmp_path / name) for name in ("a.npy", "b.npy"))
    np.testing.assert_array_equal(a.vectors, b.vectors)
    assert a.table.equals(b.table)
    assert (len(a), a.faces, b.faces) == (2, str(faces.path.resolve()), None)


def test_a_stopped_run_begins_anew_where_the_contract_has_changed(
    make_face_set, noise_crops, run_folder, tmp_path, monkeypatch, listener
):
    monkeypatch.setattr(faces_of, "_ROWS_A_BATCH", 2)
    shutil.copytree(run_folder, tmp_path / "run")
    faces, yaml = make_face_set(noise_crops(5)), tmp_path / "run" / "encoder.yaml"
    settings = {"encoder": tmp_path / "run", "device": "cpu"}
    with pytest.raises(KeyboardInterrupt):
        embed(faces.path, tmp_path / "emb.npy", **settings, progress=listener(stop_after=2))
    yaml.write_text(yaml.read_text().replace("gray: false", "gray: true"))
    embed(faces.path, tmp_path / "emb.npy", **settings, progress=(second := listener()))
    assert second.started == [("embedding", 5, 0)]


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(crop_folder, run_folder, tmp_path, monkeypatch, listener):
    monkeypatch.setattr(source_stream, "_CROPS_A_BATCH", 2)
    folder, settings = crop_folder(7), {"encoder": run_folder, "device": "cpu"}
    embed(folder, tmp_path / "unbroken.npy", **settings)
    program = """
import os, signal, sys
from ferkit.pipeline import source_stream
from ferkit.progress import Silent
from ferkit.workflows.embed import embed

class Killer(Silent):
    def start(self, task, total, done=0, unit=""):
        self.task = task

    def advance(self, steps=1, note=""):
        if self.task == "embedding":
            os.kill(os.getpid(), signal.SIGKILL)

source_stream._CROPS_A_BATCH = 2
embed(sys.argv[1], "emb.npy", encoder=sys.argv[2], device="cpu", progress=Killer())
"""
    command = [sys.executable, "-c", program, folder, run_folder]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == -signal.SIGKILL
    assert not (tmp_path / "emb.npy").exists()
    assert (tmp_path / "emb.npy.partial").is_dir()
    embed(folder, tmp_path / "emb.npy", **settings, progress=(second := listener()))
    assert second.started[-1] == ("embedding", 7, 2)
    assert set_bytes(tmp_path / "emb.npy") == set_bytes(tmp_path / "unbroken.npy")


def test_faces_on_another_template_are_refused(make_face_set, noise_crops, run_folder, tmp_path):
    faces = make_face_set(noise_crops(2), template="other-128")
    with pytest.raises(EncoderMismatchError, match="other-128"):
        embed(faces.path, tmp_path / "emb.npy", encoder=run_folder, device="cpu")
    assert not (tmp_path / "emb.npy").exists()


@pytest.mark.skipif(not is_installed("onnx"), reason="ONNX Runtime is not installed")
def test_a_set_of_int8_says_so_and_can_be_asked(
    make_face_set, noise_crops, run_folder, one_onnx, tmp_path, monkeypatch, listener
):
    monkeypatch.setenv("FERKIT_CACHE", str(tmp_path / "cache"))
    crops = noise_crops(100)
    faces = make_face_set(crops)
    result = embed(faces.path, tmp_path / "emb.npy", encoder=run_folder, runtime="onnx", precision="int8")
    made = EmbeddingSet.open(tmp_path / "emb.npy")
    assert (result.runtime, result.precision) == ("onnx", made.encoder.precision) == ("onnx", "int8")
    assert len(made.encoder.calibration) == 16
    Image.fromarray(crops[7]).save(tmp_path / "query.png")
    told = listener()
    options = {"aligned": True, "exclude_query": False, "progress": told}
    found = retrieve(tmp_path / "query.png", tmp_path / "emb.npy", k=1, **options)
    assert found.hits[0].row == 7
    assert any("int8" in line for line in told.said)
