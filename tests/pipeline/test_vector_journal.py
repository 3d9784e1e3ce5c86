from contextlib import suppress

import numpy as np
import pytest

from ferkit.data.faces import Face, faces_to_table
from ferkit.errors import OutputError
from ferkit.pipeline.face_finder import FaceBatch, Problem
from ferkit.pipeline.vector_journal import StagedVectors

JOB = {"fingerprint": "a"}


def batch(*names, problems=()):
    faces = [Face(name, 1, None, None, None, None, None, None, None, "0" * 64) for name in names]
    crops = np.zeros((len(faces), 128, 128, 3), np.uint8)
    return FaceBatch(crops, faces, len(faces) + len(problems), [Problem(*problem) for problem in problems])


def vectors(*firsts):
    return np.array([[first, 1, 2] for first in firsts], np.float32).reshape(-1, 3)


def stop_after_two(target):
    with suppress(KeyboardInterrupt), StagedVectors(target, 3, JOB) as staged:
        staged.append(vectors(1), batch("a", problems=[("tree", "no face")]))
        staged.append(vectors(2), batch("b"))
        raise KeyboardInterrupt


def test_a_stopped_job_finds_its_vectors_faces_and_problems_again(tmp_path):
    stop_after_two(tmp_path / "x.npy")
    with StagedVectors(tmp_path / "x.npy", 3, JOB) as staged:
        assert (len(staged), staged.pictures_done) == (2, 3)
        staged.append(vectors(3), batch("c"))
        np.testing.assert_array_equal(staged.vectors(), vectors(1, 2, 3))
        assert staged.table().column("source").to_pylist() == ["a", "b", "c"]
        assert staged.problems == [("tree", "no face")]
    assert list(tmp_path.iterdir()) == []


def test_vectors_that_the_journal_does_not_count_are_cut_off(tmp_path):
    stop_after_two(tmp_path / "x.npy")
    with (tmp_path / "x.npy.partial" / "vectors.f32").open("ab") as file:
        file.write(b"half a vec")
    with StagedVectors(tmp_path / "x.npy", 3, JOB) as staged:
        staged.append(vectors(3), batch("c"))
        np.testing.assert_array_equal(staged.vectors(), vectors(1, 2, 3))


def test_missing_vectors_start_the_job_afresh(tmp_path):
    stop_after_two(tmp_path / "x.npy")
    (tmp_path / "x.npy.partial" / "vectors.f32").write_bytes(b"")
    with StagedVectors(tmp_path / "x.npy", 3, JOB) as staged:
        assert (len(staged), staged.pictures_done, staged.problems) == (0, 0, [])


def test_another_job_starts_afresh(tmp_path):
    stop_after_two(tmp_path / "x.npy")
    with StagedVectors(tmp_path / "x.npy", 3, {"fingerprint": "b"}) as staged:
        assert len(staged) == 0
        staged.append(vectors(9), batch("z"))
        np.testing.assert_array_equal(staged.vectors(), vectors(9))


def test_nothing_is_kept_of_a_job_that_failed_before_its_first_vector(tmp_path):
    with pytest.raises(ValueError, match="early"), StagedVectors(tmp_path / "x.npy", 3, JOB):
        raise ValueError("early")
    assert list(tmp_path.iterdir()) == []


def test_no_vectors_at_all_are_an_empty_set(tmp_path):
    with StagedVectors(tmp_path / "x.npy", 3, JOB) as staged:
        assert staged.vectors().shape == (0, 3)
        assert staged.table().num_rows == 0


def test_a_folder_of_somebody_else_is_left_alone(tmp_path):
    foreign = tmp_path / "x.npy.partial" / "thesis.txt"
    foreign.parent.mkdir()
    foreign.write_text("years of work")
    with pytest.raises(OutputError, match="not ferkit's"), StagedVectors(tmp_path / "x.npy", 3, JOB):
        pass
    assert foreign.read_text() == "years of work"


def test_a_full_disk_keeps_the_batches_before(tmp_path, file_size_limit):
    many, faces = vectors(*range(1000)), batch(*map(str, range(1000)))
    with suppress(RuntimeError), StagedVectors(tmp_path / "x.npy", 3, JOB) as staged:
        staged.append(vectors(1), batch("a"))
        with file_size_limit(4096), pytest.raises(OutputError, match=r"x\.npy"):
            staged.append(many, faces)
        raise RuntimeError("as if the error had left the block")
    with StagedVectors(tmp_path / "x.npy", 3, JOB) as staged:
        np.testing.assert_array_equal(staged.vectors(), vectors(1))


def test_rows_that_are_known_beforehand_are_not_kept_again(tmp_path):
    rows = faces_to_table(batch("a", "b", "c").faces)
    with suppress(KeyboardInterrupt), StagedVectors(tmp_path / "x.npy", 3, JOB, rows=rows) as staged:
        staged.append(vectors(1, 2), batch("a", "b"))
        raise KeyboardInterrupt
    assert "sha256" not in (tmp_path / "x.npy.partial" / "journal.jsonl").read_text()
    with StagedVectors(tmp_path / "x.npy", 3, JOB, rows=rows) as staged:
        assert (len(staged), staged.pictures_done) == (2, 2)
        staged.append(vectors(3), batch("c"))
        np.testing.assert_array_equal(staged.vectors(), vectors(1, 2, 3))
        assert staged.table().equals(rows)
