import os
import pickle
import shutil
from contextlib import suppress
from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferkit.data.face_set import FaceSet, FaceSetWriter
from ferkit.errors import OutputError, SetError
from samples import contents, face, full_disk, noise

pytestmark = pytest.mark.usefixtures("instant_disk")

SIZE = 8
PICTURES = 22
FACES = 33  # 0 + 3 + 2 + 1 of every four pictures, and 0 + 3 of the last two


def picture(number):
    """Crops and faces of one picture: 0 to 3 of them, the same whenever asked."""
    crops = noise(number * 7 % 4, SIZE, number)
    known = {"source": f"/p/{number}.jpg", "score": 0.5}
    faces = [face(number=place, crop=crop, box=(1, 2, 3, place / 7), **known) for place, crop in enumerate(crops, 1)]
    return crops, faces, [] if faces else [(f"/p/{number}.jpg", "no face found")]


def batch(numbers):
    crops, faces, problems = zip(*map(picture, numbers), strict=True)
    return np.concatenate(crops), list(chain(*faces)), list(chain(*problems))


def run(path, steps=None, *, fingerprint="job", shard=5, overwrite=False):
    """Write the set of all pictures in batches that end at ``steps``; return where an earlier run had stopped."""
    with FaceSetWriter(path, "ferkit-128", SIZE, fingerprint=fingerprint, shard=shard, overwrite=overwrite) as writer:
        begin = writer.pictures_done
        ends = sorted({*(steps or range(1, PICTURES)), PICTURES})
        for start, end in pairwise([begin, *(end for end in ends if end > begin)]):
            crops, faces, problems = batch(range(start, end))
            writer.append(crops, faces, pictures_done=end, problems=problems)
    return begin


def interrupted(path, batches, fingerprint="job"):
    """A run that is stopped by Ctrl-C after the last of ``batches`` of picture numbers."""
    with FaceSetWriter(path, "ferkit-128", SIZE, fingerprint=fingerprint, shard=5) as writer:
        for numbers in batches:
            crops, faces, problems = batch(numbers)
            writer.append(crops, faces, pictures_done=numbers[-1] + 1, problems=problems)
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    path = tmp_path_factory.mktemp("unbroken") / "faces"
    run(path)
    return contents(path)


ALL = batch(range(PICTURES))


# Reading


def test_a_face_set_holds_what_was_written(tmp_path):
    (tmp_path / "faces").mkdir()  # an empty folder may be filled
    run(tmp_path / "faces")
    face_set = FaceSet.open(tmp_path / "faces")
    crops, faces, _ = ALL
    assert len(face_set) == len(faces) == FACES
    assert (face_set.template, face_set.size, face_set.path) == ("ferkit-128", SIZE, tmp_path / "faces")
    assert [face_set.face(row) for row in range(FACES)] == faces
    np.testing.assert_array_equal(face_set.crops(range(FACES)), crops)


ROWS = [32, 0, 5, 4, 5]


def test_some_rows_are_a_face_set_of_their_own(tmp_path):
    run(tmp_path / "faces")
    whole = FaceSet.open(tmp_path / "faces")
    some = whole.subset(ROWS)
    assert (len(some), some.path, some.template, some.size) == (5, whole.path, whole.template, SIZE)
    np.testing.assert_array_equal(some.crops([4, 0, 1]), ALL[0][[5, 32, 0]])
    assert some.faces(range(5)) == [ALL[1][row] for row in ROWS]
    assert some.face(1) == ALL[1][0]
    assert some.rows.tolist() == ROWS
    assert whole.rows.tolist() == list(range(FACES))
    assert some.table.equals(whole.table.take(ROWS))
    assert some.column("source").to_pylist() == [ALL[1][row].source for row in ROWS]
    nested = some.subset([3, 0])
    assert nested.faces([0, 1]) == [ALL[1][4], ALL[1][32]]
    assert whole.subset([]).crops([]).shape == (0, SIZE, SIZE, 3)
    assert whole.subset([]).table.num_rows == 0


def test_sets_travel_as_a_path_and_rows(tmp_path):
    run(tmp_path / "faces")
    whole = FaceSet.open(tmp_path / "faces")
    for some, rows in ((whole, range(FACES)), (whole.subset(ROWS), ROWS)):
        sent = pickle.dumps(some)
        assert len(sent) < 1000
        again = pickle.loads(sent)
        np.testing.assert_array_equal(again.crops(range(len(rows))), ALL[0][list(rows)])
        assert again.faces(range(len(rows))) == [ALL[1][row] for row in rows]


@pytest.mark.parametrize(
    "damage", [lambda crops: crops[::-1], lambda crops: crops ^ (np.arange(len(crops)) == 2)[:, None, None, None]]
)
def test_a_crop_that_has_changed_is_noticed_when_it_is_read(tmp_path, damage):
    run(tmp_path / "faces")
    shard = tmp_path / "faces" / "faces-00001.npy"
    np.save(shard, damage(np.load(shard)).astype(np.uint8))
    face_set = FaceSet.open(tmp_path / "faces")
    face_set.crops([0, 4, 10])
    with pytest.raises(SetError, match=r"row \d in faces-00001.npy"):
        face_set.subset(range(5, 10)).crops(range(5))


def test_files_are_what_the_format_says(unbroken):
    assert sorted(unbroken) == [
        *(f"faces-0000{number}.npy" for number in range(7)), "faces.parquet", "meta.json", "problems.csv"
    ]  # fmt: skip
    lines = unbroken["problems.csv"].decode().splitlines()
    assert lines[0] == "source,problem"
    assert lines[1:] == [f"/p/{number}.jpg,no face found" for number in (0, 4, 8, 12, 16, 20)]


def test_a_face_set_without_faces(tmp_path):
    with FaceSetWriter(tmp_path / "faces", "t", SIZE, fingerprint="x") as writer:
        writer.append(np.empty((0, SIZE, SIZE, 3), np.uint8), [], pictures_done=1, problems=[("a", "no face found")])
    face_set = FaceSet.open(tmp_path / "faces")
    assert len(face_set) == 0
    assert face_set.crops([]).shape == (0, SIZE, SIZE, 3)


def cut(path):
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda f: (f / "meta.json").unlink(), "meta.json is missing"),
        (lambda f: (f / "meta.json").write_text('{"format": 1}'), "meta.json cannot be understood"),
        (lambda f: (f / "faces.parquet").unlink(), "faces.parquet is missing"),
        (lambda f: cut(f / "faces.parquet"), "faces.parquet cannot be read"),
        (lambda f: (f / "faces-00001.npy").unlink(), "faces-00006.npy|faces-00001.npy is missing"),
        (lambda f: (f / "faces-00006.npy").unlink(), "33 faces.* 30"),
        (lambda f: cut(f / "faces-00002.npy"), "faces-00002.npy is cut short"),
        (lambda f: (f / "faces-00002.npy").write_text("no array"), "faces-00002.npy is cut short or no array"),
        (lambda f: np.save(f / "faces-00002.npy", np.zeros((5, 9, 9, 3), np.uint8)), "faces-00002.npy is "),
    ],
)
def test_damage_is_named(tmp_path, damage, why):
    run(tmp_path / "faces")
    damage(tmp_path / "faces")
    with pytest.raises(SetError, match=why) as caught:
        FaceSet.open(tmp_path / "faces")
    assert "ferkit align" in str(caught.value)


def test_a_newer_format_and_no_face_set(tmp_path):
    run(tmp_path / "faces")
    meta = tmp_path / "faces" / "meta.json"
    meta.write_text(meta.read_text().replace('"format": 2', '"format": 3'))
    with pytest.raises(SetError, match="newer ferkit"):
        FaceSet.open(tmp_path / "faces")
    with pytest.raises(SetError, match="is not a face set"):
        FaceSet.open(meta.parent / "none")
    with pytest.raises(SetError, match=r"\(faces\)"):
        FaceSet.open(tmp_path)


# Breaks


@settings(max_examples=30)
@given(steps=st.sets(st.integers(1, PICTURES)), broken=st.integers(0, PICTURES))
def test_bytes_depend_neither_on_batches_nor_on_breaks(tmp_path_factory, unbroken, steps, broken):
    path = tmp_path_factory.mktemp("any") / "faces"
    with pytest.raises(KeyboardInterrupt):
        interrupted(path, [[number] for number in range(broken)])
    run(path, steps)
    assert contents(path) == unbroken
    assert [entry.name for entry in path.parent.iterdir()] == ["faces"]


def states_at_every_flush(folder, monkeypatch):
    """What a kill would leave on disk at each moment that data is flushed: copies of the partial folder."""
    states = []
    flush = os.fsync

    def copy_and_flush(handle):
        if (folder / "faces.partial").exists():
            states.append(shutil.copytree(folder / "faces.partial", folder / "states" / str(len(states))))
        flush(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", copy_and_flush)
        run(folder / "faces")
    return states


def test_a_kill_at_any_moment_gives_the_same_bytes(tmp_path, monkeypatch, unbroken):
    states = states_at_every_flush(tmp_path, monkeypatch)
    begins = []
    for number, state in enumerate(states):
        path = tmp_path / f"again-{number}"
        shutil.copytree(state, f"{path}.partial")
        begins.append(run(path))
        assert contents(path) == unbroken
    assert begins == sorted(begins)  # no moment at which work that was safe is lost
    assert set(begins) == set(range(PICTURES + 1))


@pytest.mark.parametrize("lost", [1, 40, 1000, 5000, None])
def test_a_torn_journal_and_lost_crops_give_the_same_bytes(tmp_path, monkeypatch, unbroken, lost):
    state = states_at_every_flush(tmp_path, monkeypatch)[60]
    if lost:
        (state / "journal.jsonl").write_bytes((state / "journal.jsonl").read_bytes()[:-lost])
    else:
        cut(state / "faces-00001.npy")
    shutil.copytree(state, tmp_path / "again.partial")
    run(tmp_path / "again")
    assert contents(tmp_path / "again") == unbroken


@pytest.mark.parametrize("change", [{"fingerprint": "other"}, {"shard": 6}])
def test_another_job_starts_afresh_and_leaves_nothing_of_the_first(tmp_path, unbroken, change):
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path / "faces", [range(9)])
    with (
        suppress(KeyboardInterrupt),
        FaceSetWriter(tmp_path / "faces", "ferkit-128", SIZE, **{"fingerprint": "job", "shard": 5} | change) as writer,
    ):
        assert (writer.pictures_done, len(writer), writer.problems) == (0, 0, [])
        crops, faces, problems = batch(range(20))
        writer.append(crops, faces, pictures_done=20, problems=problems)
        raise KeyboardInterrupt
    run(tmp_path / "faces")
    assert contents(tmp_path / "faces") == unbroken


def test_an_error_before_any_face_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path / "faces", [[0]])
    assert list(tmp_path.iterdir()) == []


# Outputs


def test_an_existing_face_set_stays_until_it_is_told_to_go_and_the_new_one_is_whole(tmp_path, unbroken):
    run(tmp_path / "faces", shard=7)
    before = contents(tmp_path / "faces")
    with pytest.raises(OutputError, match="overwrite=True"):
        run(tmp_path / "faces")
    assert contents(tmp_path / "faces") == before
    with FaceSetWriter(tmp_path / "faces", "t", SIZE, fingerprint="new", overwrite=True):
        assert len(FaceSet.open(tmp_path / "faces")) == FACES
    assert len(FaceSet.open(tmp_path / "faces")) == 0
    run(tmp_path / "faces", overwrite=True)
    assert contents(tmp_path / "faces") == unbroken
    assert [entry.name for entry in tmp_path.iterdir()] == ["faces"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_other_peoples_folders_and_files_are_never_replaced(tmp_path, overwrite):
    (tmp_path / "photos").mkdir()
    (tmp_path / "set.partial").mkdir()
    for name in ("photos/holiday.jpg", "file", "set.partial/thesis.txt"):
        (tmp_path / name).write_text("mine")
    before = contents(tmp_path)
    for name, why in (("photos", r"'holiday.jpg'"), ("file", "is a file"), ("set", r"thesis.txt")):
        with pytest.raises(OutputError, match=why):
            run(tmp_path / name, overwrite=overwrite)
    assert contents(tmp_path) == before


def test_what_appears_meanwhile_is_not_replaced(tmp_path):
    writer = FaceSetWriter(tmp_path / "faces", "t", SIZE, fingerprint="x").__enter__()
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces" / "mine").write_text("mine")
    with pytest.raises(OutputError, match="holds 'mine'"):
        writer.__exit__(None, None, None)
    assert contents(tmp_path / "faces") == {"mine": b"mine"}


def test_a_full_disk_leaves_the_old_set_and_a_run_that_can_go_on(tmp_path, unbroken):
    run(tmp_path / "faces", shard=7)
    before = contents(tmp_path / "faces")
    with full_disk(30), pytest.raises(OutputError, match="No space left on device"):
        run(tmp_path / "faces", overwrite=True)
    assert contents(tmp_path / "faces") == before
    run(tmp_path / "faces", overwrite=True)
    assert contents(tmp_path / "faces") == unbroken
