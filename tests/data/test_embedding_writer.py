import json
from contextlib import suppress

import numpy as np
import pytest

from ferkit.data.embedding_set import EmbeddingSet, EncoderStamp
from ferkit.data.embedding_writer import EmbeddingSetWriter
from ferkit.data.faces import faces_to_table
from ferkit.errors import OutputError
from ferkit.staging import JOURNAL
from samples import face, flip

JOB = {"fingerprint": "a"}
STAMP = EncoderStamp("e", "0" * 64, 3, "ferkit-128", 112)


def faces(*names):
    return [face(name) for name in names]


def vectors(*firsts):
    return np.array([[first, 1, 2] for first in firsts], np.float32).reshape(-1, 3)


def writer(folder, job=JOB, **known):
    return EmbeddingSetWriter(folder / "x.npy", STAMP, job, **known)


def stop_after_two(folder):
    with suppress(KeyboardInterrupt), writer(folder) as staged:
        staged.append(vectors(1), faces("a"), pictures_done=2, problems=[("tree", "no face")])
        staged.append(vectors(2), faces("b"), pictures_done=3, state={"frame": 7})
        raise KeyboardInterrupt


def sources(folder):
    return EmbeddingSet.open(folder / "x.npy").table.column("source").to_pylist()


def test_a_stopped_job_finds_its_vectors_faces_and_problems_again(tmp_path):
    stop_after_two(tmp_path)
    with writer(tmp_path) as staged:
        assert (len(staged), staged.pictures_done, staged.state) == (2, 3, {"frame": 7})
        assert staged.problems == [("tree", "no face")]
        staged.append(vectors(3), faces("c"), pictures_done=4)
    np.testing.assert_array_equal(EmbeddingSet.open(tmp_path / "x.npy").vectors, vectors(1, 2, 3))
    assert sources(tmp_path) == ["a", "b", "c"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.json", "x.npy", "x.parquet"]


@pytest.mark.parametrize(("place", "kept"), [(-1, 1), (-13, 0)])
def test_a_batch_that_has_changed_is_done_again_with_all_behind_it(tmp_path, place, kept):
    stop_after_two(tmp_path)
    flip(tmp_path / "x.npy.partial" / "x.npy", place)
    with writer(tmp_path) as staged:
        assert (len(staged), staged.pictures_done) == (kept, 2 * kept)
        staged.append(vectors(*range(kept, 3)), faces(*"abc"[kept:]), pictures_done=4)
    assert sources(tmp_path) == ["a", "b", "c"]


@pytest.mark.parametrize("line", [0, 1, 2])
@pytest.mark.parametrize("damage", [lambda line: line.replace(b'"', b"'"), lambda line: b"[" * 10000, lambda line: b""])
def test_a_damaged_line_of_the_journal_counts_no_more_than_what_stands_before(tmp_path, line, damage):
    stop_after_two(tmp_path)
    journal = tmp_path / "x.npy.partial" / JOURNAL
    lines = journal.read_bytes().splitlines()
    lines[line] = damage(lines[line])
    journal.write_bytes(b"\n".join(lines) + b"\n")
    with writer(tmp_path) as staged:
        assert len(staged) == max(0, line - 1)
        staged.append(vectors(9), faces("z"), pictures_done=4)
    assert sources(tmp_path)[-1] == "z"


def test_a_full_disk_keeps_the_batches_before(tmp_path, file_size_limit):
    many, names = vectors(*range(1000)), faces(*map(str, range(1000)))
    with suppress(RuntimeError), writer(tmp_path) as staged:
        staged.append(vectors(1), faces("a"), pictures_done=1)
        with file_size_limit(4096), pytest.raises(OutputError, match=r"x\.npy"):
            staged.append(many, names, pictures_done=1001)
        raise RuntimeError("as if the error had left the block")
    with writer(tmp_path) as staged:
        assert len(staged) == 1


def test_rows_that_are_known_beforehand_are_not_kept_again(tmp_path):
    table = faces_to_table(faces("a", "b", "c"))
    with suppress(KeyboardInterrupt), writer(tmp_path, table=table) as staged:
        staged.append(vectors(1, 2), faces("a", "b"), pictures_done=2)
        raise KeyboardInterrupt
    assert "sha256" not in (tmp_path / "x.npy.partial" / JOURNAL).read_text()
    with writer(tmp_path, table=table, faces="/sets/faces") as staged:
        assert (len(staged), staged.pictures_done) == (2, 2)
        staged.append(vectors(3), faces("c"), pictures_done=3)
    assert sources(tmp_path) == ["a", "b", "c"]
    assert json.loads((tmp_path / "x.json").read_text())["faces"] == "/sets/faces"
