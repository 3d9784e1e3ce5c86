"""Whatever rename or flush a writer dies behind, the same command gives the same bytes and leaves nothing else."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import ferkit
from ferkit import atomic
from ferkit.atomic import atomic_path
from ferkit.data.embedding_set import EncoderStamp
from ferkit.data.embedding_writer import EmbeddingSetWriter
from ferkit.data.face_set import FaceSet, FaceSetWriter
from ferkit.errors import BusyError, OutputError
from ferkit.locks import output_lock
from ferkit.workflows.faces_split import split_faces
from samples import contents, face, noise

pytestmark = pytest.mark.usefixtures("instant_disk")

STAMP = EncoderStamp("e", "0" * 64, 3, "ferkit-128", 112)


class Killed(BaseException):
    """Stands for SIGKILL: from here on this process changes nothing on disk."""


def rows(seed):
    crops = noise(6, 8, seed)
    known = {"label": "happy", "score": 0.5}
    return crops, [face(f"/p{seed}/{n}", crop=crop, identity=f"i{n}", **known) for n, crop in enumerate(crops)]


def write_faces(folder, seed, overwrite=True):
    crops, faces = rows(seed)
    with FaceSetWriter(folder / "faces", "t", 8, fingerprint=f"{seed}", shard=4, overwrite=overwrite) as writer:
        for start in range(writer.pictures_done, 6, 3):
            writer.append(crops[start : start + 3], faces[start : start + 3], pictures_done=start + 3)


def write_vectors(folder, seed):
    _, faces = rows(seed)
    with EmbeddingSetWriter(folder / "emb.npy", STAMP, {"seed": seed}) as writer:
        for start in range(writer.pictures_done, 6, 3):
            vectors = np.full((3, 3), seed + start, np.float32)
            writer.append(vectors, faces[start : start + 3], pictures_done=start + 3)


def write_split(folder, seed):
    source = folder.parent / f"source{seed}"
    split_faces(source / "faces", folder / "split", {"a": 0.5, "b": 0.5}, overwrite=True)


def write_file(folder, seed):
    with atomic_path(folder / "x.txt") as partial:
        partial.write_text(f"{seed}")


def write_folder(folder, seed):
    with atomic_path(folder / "run") as partial:
        partial.mkdir()
        (partial / f"of {seed}").write_text(f"{seed}")


WRITERS = [write_faces, write_vectors, write_split, write_file, write_folder]


class Killer:
    """Ends the writer behind change number ``stop`` of the disk; what it does to clean up has no effect then."""

    def __init__(self, monkeypatch, stop, flushes):
        self.calls, self.stop = 0, stop
        monkeypatch.setattr(os, "fsync", self.wrapped(os.fsync, kills=flushes))
        for module, name in [(module, name) for module in (os, Path) for name in ("replace", "rename", "unlink")]:
            monkeypatch.setattr(module, name, self.wrapped(getattr(module, name), kills=name != "unlink"))
        monkeypatch.setattr(atomic, "_exchanged", self.wrapped(atomic._exchanged))
        monkeypatch.setattr(shutil, "rmtree", self.wrapped(shutil.rmtree, kills=False))

    def wrapped(self, function, kills=True):
        def call(*args, **kwargs):
            if self.stop is not None and self.calls >= self.stop:
                raise Killed
            result = function(*args, **kwargs)
            self.calls += kills
            if self.calls == self.stop:
                raise Killed
            return result

        return call


def killed_everywhere(tmp_path, monkeypatch, write, exchange, before):
    """Yield the folder that each kill has left, and count them; ``before``: an older output is in the way."""
    for seed in (1, 2):
        if write is write_split:
            write_faces((tmp_path / f"source{seed}"), seed)
    if not exchange:
        monkeypatch.setattr(atomic, "_exchanged", lambda one, other: False)
    stop = 1
    while True:
        folder = tmp_path / f"{stop}"
        folder.mkdir()
        if before:
            write(folder, 2)
        with monkeypatch.context() as patch:
            Killer(patch, stop, flushes=write is not write_split)  # that would be hundreds
            try:
                write(folder, 1)
            except Killed:
                pass
            else:
                return
        yield folder
        stop += 1


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize("exchange", [False, True])
@pytest.mark.parametrize("write", WRITERS)
def test_a_kill_behind_any_change_is_recovered(tmp_path, monkeypatch, write, exchange, before):
    kills = 0
    for folder in killed_everywhere(tmp_path, monkeypatch, write, exchange, before):
        if before and (exchange or write in (write_vectors, write_file)):  # something always bears the name
            assert contents(folder).keys() >= {"faces/meta.json"} or write is not write_faces
        write(folder, 1)
        kills += 1
        left = contents(folder)
        assert left == whole(tmp_path, write), folder
    assert kills > 1


def whole(tmp_path, write):
    """The bytes of an unbroken run."""
    folder = tmp_path / "unbroken"
    if not folder.exists():
        folder.mkdir()
        write(folder, 1)
    return contents(folder)


def test_whoever_comes_second_is_told_who_is_at_work(tmp_path):
    crops, faces = rows(1)
    with FaceSetWriter(tmp_path / "faces", "t", 8, fingerprint="1") as writer:
        writer.append(crops, faces, pictures_done=6)
        for seed in (1, 2):
            with pytest.raises(BusyError, match=rf"process {os.getpid()} .*faces'"):
                write_faces(tmp_path, seed)
    assert len(FaceSet.open(tmp_path / "faces")) == 6
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]


@pytest.mark.parametrize("write", [write_faces, write_vectors])
def test_two_jobs_at_once_never_mix(tmp_path, monkeypatch, write):
    """Delayed at every step on disk, the output is one job's, that of a run that reported success."""
    flush, delays = os.fsync, np.random.default_rng(0)

    def slow(handle):
        threading.Event().wait(delays.uniform(0, 0.004))
        flush(handle)

    monkeypatch.setattr(os, "fsync", slow)
    for seed in (1, 2):
        (tmp_path / f"alone{seed}").mkdir()
        write(tmp_path / f"alone{seed}", seed)
    alone = {seed: contents(tmp_path / f"alone{seed}") for seed in (1, 2)}
    for attempt in range(12):
        folder, ended = tmp_path / f"both{attempt}", {}
        folder.mkdir()

        def job(seed, folder=folder, ended=ended):
            try:
                write(folder, seed)
                ended[seed] = "done"
            except BusyError:
                ended[seed] = "busy"

        threads = [threading.Thread(target=job, args=(seed,)) for seed in (1, 2)]
        for number, thread in enumerate(threads):
            threading.Event().wait(number * delays.uniform(0, 0.02))
            thread.start()
        for thread in threads:
            thread.join()
        done = [seed for seed, end in ended.items() if end == "done"]
        assert len(ended) == 2
        assert done
        assert contents(folder) in [alone[seed] for seed in done]


def test_a_lock_ends_with_its_process(tmp_path):
    program = "import os, sys; from ferkit.locks import output_lock; from pathlib import Path\n"
    program += "with output_lock(Path(sys.argv[1])): print('held', flush=True); os._exit(9)"
    run = subprocess.run([sys.executable, "-c", program, tmp_path / "x"], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (9, "held\n")
    assert (tmp_path / ".x.lock").exists()
    with output_lock(tmp_path / "x"):
        assert f"process {os.getpid()} " in (tmp_path / ".x.lock").read_text()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_never_written_through_a_link(tmp_path):
    (tmp_path / "photo.jpg").write_text("mine")
    (tmp_path / ".x.lock").symlink_to(tmp_path / "photo.jpg")
    target = tmp_path / "x"
    with pytest.raises(OutputError, match="cannot write"), atomic.output_errors(target), output_lock(target):
        pass
    assert (tmp_path / "photo.jpg").read_text() == "mine"


@pytest.mark.parametrize("verb", [ferkit.align, ferkit.embed, ferkit.recognise])
def test_a_name_that_no_file_can_have_is_one_sentence(crop_folder, tmp_path, verb):
    with pytest.raises(OutputError, match="holds a NUL"):
        verb(crop_folder(1), f"{tmp_path}/a\0b" + {ferkit.embed: ".npy", ferkit.recognise: ".csv"}.get(verb, ""))
