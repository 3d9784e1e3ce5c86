import numpy as np
import pytest

from ferkit.data.faces import Face
from ferkit.data.journal import Journal, ShardFiles, shard_name

JOB = {"fingerprint": "a", "size": 4}
FACES = [Face(f"/p/{row}.jpg", 1, None, None, None, None, (0, 1, 2, 3), None, 0.5, "0") for row in range(4)]


@pytest.fixture
def journal(tmp_path):
    """A closed journal of two entries: three faces of two pictures, then one of three."""
    journal = Journal(tmp_path / "journal.jsonl", JOB)
    journal.begin()
    journal.add(FACES[:3], [], 2)
    journal.add(FACES[3:], [("/p/x.jpg", "no face found")], 5)
    journal.close()
    return journal.path


def reopened(path, job=JOB):
    journal = Journal(path, job)
    resumed = journal.resume()
    journal.close()
    return resumed, journal


def test_the_bookmark_is_that_of_the_last_entry(tmp_path):
    bookmark = {"picture": 3, "frame": 120, "tracks": [[0.5, None]]}
    journal = Journal(tmp_path / "journal.jsonl", JOB)
    journal.begin()
    assert journal.state is None
    journal.add(FACES[:1], [], 1, bookmark)
    journal.close()
    assert journal.state == reopened(journal.path)[1].state == bookmark
    again = Journal(journal.path, JOB)
    assert again.resume()
    assert again.state == bookmark
    again.add([], [], 2)
    again.close()
    assert again.state is reopened(journal.path)[1].state is None


def test_a_journal_remembers(journal):
    resumed, again = reopened(journal)
    assert resumed
    assert (again.rows, again.pictures_done, again.problems) == (4, 5, [("/p/x.jpg", "no face found")])
    assert list(again.faces()) == FACES


@pytest.mark.parametrize("lost", [1, 50])
def test_a_line_that_was_not_written_whole_does_not_count(journal, lost):
    journal.write_bytes(journal.read_bytes()[:-lost])
    resumed, again = reopened(journal)
    assert resumed
    assert (again.rows, again.pictures_done, again.problems) == (3, 2, [])
    assert journal.read_bytes().endswith(b"\n")


def test_nothing_counts_behind_a_damaged_line(journal):
    lines = journal.read_bytes().split(b"\n")
    journal.write_bytes(b"\n".join([lines[0], b"\0" * 20, lines[2], b""]))
    resumed, again = reopened(journal)
    assert resumed
    assert (again.rows, again.pictures_done) == (0, 0)


def test_no_journal_another_job_and_an_unreadable_job(journal):
    assert reopened(journal.with_name("nothing"))[0] is False
    assert reopened(journal, {**JOB, "size": 5})[0] is False
    journal.write_bytes(journal.read_bytes()[:5])
    assert reopened(journal)[0] is False


def test_beginning_forgets(journal):
    again = Journal(journal, JOB)
    assert again.resume()
    again.add([], [], 6, "bookmark")
    again.close()
    again.begin()
    again.close()
    assert (again.rows, again.pictures_done, again.problems, list(again.faces())) == (0, 0, [], [])
    assert again.state is None


def test_file_names_that_are_not_utf8_survive(tmp_path):
    name = b"/p/caf\xe9.jpg".decode("utf-8", "surrogateescape")
    journal = Journal(tmp_path / "journal.jsonl", JOB)
    journal.begin()
    journal.add([], [(name, "it is empty")], 1)
    journal.close()
    assert reopened(journal.path)[1].problems == [(name, "it is empty")]


CROPS = np.random.default_rng(0).integers(0, 256, (11, 4, 4, 3), dtype=np.uint8)


def shards(folder):
    return [np.load(path) for path in sorted(folder.glob("*.npy"))]


@pytest.mark.parametrize("step", [1, 3, 4, 11])
def test_shards_are_full_except_the_last(tmp_path, step):
    files = ShardFiles(tmp_path, size=4, shard=4)
    for start in range(0, 11, step):
        files.append(CROPS[start : start + step])
    files.finish()
    assert [len(shard) for shard in shards(tmp_path)] == [4, 4, 3]
    np.testing.assert_array_equal(np.concatenate(shards(tmp_path)), CROPS)


@pytest.mark.parametrize("rows", range(12))
def test_resuming_cuts_what_does_not_count(tmp_path, rows):
    files = ShardFiles(tmp_path, size=4, shard=4)
    files.append(CROPS)
    files.close()
    again = ShardFiles(tmp_path, size=4, shard=4)
    assert again.resume(rows)
    again.append(255 - CROPS[rows:])
    again.finish()
    np.testing.assert_array_equal(np.concatenate(shards(tmp_path)), [*CROPS[:rows], *(255 - CROPS[rows:])])


@pytest.mark.parametrize("rows", range(12))
def test_finishing_at_once_keeps_what_counts_and_no_more(tmp_path, rows):
    files = ShardFiles(tmp_path, size=4, shard=4)
    files.append(CROPS)
    files.close()
    again = ShardFiles(tmp_path, size=4, shard=4)
    assert again.resume(rows)
    again.finish()
    assert sum(map(len, shards(tmp_path))) == rows


@pytest.mark.parametrize("rows", [12, 100])
def test_resuming_needs_every_crop_that_counts(tmp_path, rows):
    files = ShardFiles(tmp_path, size=4, shard=4)
    files.append(CROPS)
    files.close()
    assert ShardFiles(tmp_path, size=4, shard=4).resume(rows) is False


def test_shard_names_sort_as_they_count():
    assert [shard_name(number) for number in (0, 12, 99999)] == [
        "faces-00000.npy",
        "faces-00012.npy",
        "faces-99999.npy",
    ]
