import json
from itertools import chain

import numpy as np
import pytest
from PIL import Image

from ferkit.data.face_set import FaceSet, FaceSetWriter
from ferkit.data.faces import crop_sha256
from ferkit.errors import FerkitError, InputError, OutputError
from ferkit.workflows.faces import faces_info, filter_faces, merge_faces
from ferkit.workflows.faces_split import split_faces
from samples import contents, face

pytestmark = pytest.mark.usefixtures("instant_disk")

SIZE = 8
LABELS = ["joy", "joy", "fear", None]


def pixels(value):
    return np.full((SIZE, SIZE, 3), value, np.uint8)


def a_face(row, crop=None, **known):
    """The face of a row; its crop is flat, of the value ``crop`` or else the row's number."""
    return face(crop=pixels(row if crop is None else crop), **{"source": f"/p/{row}.jpg", **known})


@pytest.fixture
def write(tmp_path):
    """Write faces as a set; crops as their sha256 says."""
    values = {crop_sha256(pixels(value)): value for value in range(256)}

    def make(name, faces, template="ferkit-128"):
        crops = np.stack([pixels(values[face.sha256]) for face in faces])
        with FaceSetWriter(tmp_path / name, template, SIZE, fingerprint="x", overwrite=True) as writer:
            writer.append(crops, faces, pictures_done=len(faces))
        return tmp_path / name

    return make


def sources(path):
    return [face.rpartition("/")[2].split(".")[0] for face in FaceSet.open(path).column("source").to_pylist()]


# Info


@pytest.fixture
def party(write):
    """Seven faces: two photos of ana, one of them twice; two clips of one video; a photo and a row of nobody named."""
    return write(
        "party",
        [
            a_face(0, identity="ana", label="joy", size=40.0, sharpness=0.5, yaw=-30.0, score=0.9),
            a_face(1, identity="ana", label="joy", size=80.0, sharpness=0.7, yaw=10.0, score=1.0),
            a_face(2, identity="ana", label="fear", crop=1),
            a_face(3, source="/v/a.MP4#0", clip="/v/a.MP4#0/1", identity="bob"),
            a_face(4, source="/v/a.MP4#5", clip="/v/a.MP4#0/1", identity="bob"),
            a_face(5, source="/v/a.MP4#5", number=2, clip="/v/a.MP4#5/2"),
            a_face(6, source="/t/x.parquet#5"),
        ],
    )


def test_info_counts(party):
    info = faces_info(party)
    assert (info.path, info.template, info.size, info.faces) == (party, "ferkit-128", SIZE, 7)
    assert (info.pictures, info.videos, info.clips) == (6, 1, 2)
    assert (info.identities, info.without_identity) == (2, 2)
    assert (list(info.labels.items()), info.without_label) == ([("joy", 2), ("fear", 1)], 4)
    assert info.duplicates == 1
    assert info.bytes == sum(len(content) for content in contents(party).values())
    assert info.sheet is None


def test_a_contact_sheet_shows_each_face_once_and_replaces_no_photo(party, tmp_path):
    assert faces_info(party, sheet=tmp_path / "a.png", sheet_faces=100).sheet == tmp_path / "a.png"
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.size == (7 * (SIZE + 4) + 4, SIZE + 8)
        middles = np.asarray(sheet)[4 + SIZE // 2, 4 + SIZE // 2 :: SIZE + 4, 0]
    assert sorted(middles.tolist()) == [0, 1, 1, 3, 4, 5, 6]
    faces_info(party, sheet=tmp_path / "b.png", sheet_faces=3, seed=1)
    with Image.open(tmp_path / "b.png") as sheet:
        assert sheet.width == 3 * (SIZE + 4) + 4
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.jpg")
    before = (tmp_path / "photo.jpg").read_bytes()
    with pytest.raises(OutputError, match=r"photo\.jpg"):
        faces_info(party, sheet=tmp_path / "photo.jpg")
    assert (tmp_path / "photo.jpg").read_bytes() == before


# Merge


def test_merged_sets_stand_one_behind_the_other(write, party, tmp_path, listener):
    other = write("other", [a_face(7), a_face(8, crop=0)])
    progress = listener()
    result = merge_faces([party, other], tmp_path / "all", progress=progress)
    assert (result.faces, result.sets, result.duplicates) == (9, 2, 0)
    first, second, joined = map(FaceSet.open, (party, other, tmp_path / "all"))
    assert joined.faces(range(9)) == first.faces(range(7)) + second.faces(range(2))
    np.testing.assert_array_equal(joined.crops(range(9)), [*first.crops(range(7)), *second.crops(range(2))])
    assert progress.started == [("merging", 9, 0)]
    assert progress.steps == 9


def test_merging_without_duplicates_keeps_the_first(write, party, tmp_path):
    other = write("other", [a_face(7), a_face(8, crop=0), a_face(9, crop=7)])
    result = merge_faces([party, other, other], tmp_path / "all", dedupe=True)
    assert (result.faces, result.duplicates) == (7, 6)
    assert sources(tmp_path / "all") == ["0", "1", "a", "a", "a", "x", "7"]


def test_sets_of_two_templates_are_not_mixed(write, party, tmp_path):
    other = write("other", [a_face(7)], template="arcface-112")
    with pytest.raises(InputError, match=r"party' \(8 px of ferkit-128\) and .*\(8 px of arcface-112\) cannot"):
        merge_faces([party, other], tmp_path / "all")
    assert not (tmp_path / "all").exists()


# Filter


@pytest.fixture
def crowd(write):
    """Row: 0 small, 1 turned, 2 blurred, 3 unsure, 4 cut off, 5 unmeasured, 6 to 9 good, 8 and 9 alike."""
    good = {"size": 100.0, "yaw": 5.0, "sharpness": 0.7, "score": 0.99, "clipped": 0.0}
    flaws = [{"size": 20.0}, {"yaw": -60.0}, {"sharpness": 0.2}, {"score": 0.6}, {"clipped": 0.4}, dict.fromkeys(good)]
    people = ["ana", "bob", "ana", None, "Anabel", "bob", "ana", "ana", "ana", None]
    rows = [{**good, **flaw} for flaw in [*flaws, {}, {}, {}, {"crop": 8}]]
    labels = [LABELS[number % 4] for number in range(10)]
    return write("crowd", [a_face(i, identity=people[i], label=labels[i], **row) for i, row in enumerate(rows)])


@pytest.mark.parametrize(
    ("wanted", "kept", "dropped"),
    [
        ({}, range(10), {}),
        ({"min_size": 30}, [1, 2, 3, 4, 6, 7, 8, 9], {"--min-size 30": 2}),
        ({"max_yaw": 30}, [0, 2, 3, 4, 6, 7, 8, 9], {"--max-yaw 30": 2}),
        ({"min_sharpness": 0.5}, [0, 1, 3, 4, 6, 7, 8, 9], {"--min-sharpness 0.5": 2}),
        ({"where": "score >= .9"}, [0, 1, 2, 4, 6, 7, 8, 9], {"--where score >= .9": 2}),
        ({"where": "clipped <= .1"}, [0, 1, 2, 3, 6, 7, 8, 9], {"--where clipped <= .1": 2}),
        ({"where": "label = 'fear'"}, [2, 6], {"--where label = 'fear'": 8}),
        ({"where": "identity like 'ana%'"}, [0, 2, 6, 7, 8], {"--where identity like 'ana%'": 5}),
        ({"dedupe": True}, range(9), {"--dedupe": 1}),
        ({"per_identity": 1}, [0, 1, 3, 4, 9], {"--per-identity 1": 5}),
        ({"per_identity": 3}, [0, 1, 3, 4, 5, 6, 8, 9], {"--per-identity 3": 2}),  # evenly: first, middle, last of five
        (
            {"min_size": 30, "max_yaw": 30, "where": "identity in ('ana', 'bob')", "per_identity": 2},
            [2, 8],
            {"--min-size 30": 2, "--max-yaw 30": 1, "--where identity in ('ana', 'bob')": 3, "--per-identity 2": 2},
        ),
    ],
)
def test_what_a_filter_keeps(crowd, tmp_path, wanted, kept, dropped):
    result = filter_faces(crowd, tmp_path / "out", **wanted)
    assert sources(tmp_path / "out") == [str(row) for row in kept]
    assert (result.faces, result.total, result.dropped) == (len(kept), 10, dropped)
    assert FaceSet.open(tmp_path / "out").crops([0])[0, 0, 0, 0] == kept[0]


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({"min_size": 90, "max_yaw": 1}, r"min_size=90 2, max_yaw=1 8"),
        ({"where": "labels = 'fear'"}, "did you mean label"),
        ({"per_identity": 0}, "per_identity"),
        ({"min_sharpness": 50}, "min_sharpness"),
    ],
)
def test_filters_that_leave_nothing_or_mean_nothing(crowd, tmp_path, wanted, why):
    with pytest.raises(InputError, match=why):
        filter_faces(crowd, tmp_path / "out", **wanted)
    assert [path.name for path in tmp_path.iterdir()] == ["crowd"]


def test_a_set_may_be_filtered_onto_itself(crowd):
    with pytest.raises(OutputError, match="overwrite=True"):
        filter_faces(crowd, crowd, min_size=30)
    filter_faces(crowd, crowd, min_size=30, overwrite=True)
    assert sources(crowd) == ["1", "2", "3", "4", "6", "7", "8", "9"]


# Split


PARTS = {"train": 0.6, "valid": 0.2, "test": 0.2}


@pytest.fixture
def people(write):
    """200 faces of 50 people with 1 to 7 faces each; labels 2 : 1 : 1 of joy, fear and none."""
    random = np.random.default_rng(0)
    who = random.choice(50, 200, p=np.arange(1, 51) / 1275)
    return write("people", [a_face(i, identity=f"p{who[i]}", label=LABELS[i % 4]) for i in range(200)])


def columns(path, name):
    return {part: FaceSet.open(path / part).column(name).to_pylist() for part in PARTS}


def test_nobody_is_in_two_parts_and_labels_have_their_share(people, tmp_path, listener):
    progress = listener()
    result = split_faces(people, tmp_path / "split", PARTS, progress=progress)
    who = columns(tmp_path / "split", "identity")
    assert sum(len(set(names)) for names in who.values()) == len(set().union(*who.values()))
    dealt = chain(*columns(tmp_path / "split", "source").values())
    assert sorted(dealt) == sorted(f"/p/{i}.jpg" for i in range(200))
    for part in result.parts:
        assert part.faces == pytest.approx(200 * PARTS[part.name], abs=2)
        assert part.labels == pytest.approx({"joy": part.faces / 2, "fear": part.faces / 4}, abs=2)
        assert (part.identities, part.path) == (len(set(who[part.name])), tmp_path / "split" / part.name)
    assert (result.ungrouped, result.shared, progress.said) == (0, 0, [])
    record = json.loads((tmp_path / "split" / "split.json").read_text())
    assert (record["parts"], record["by"], record["seed"]) == (PARTS, "identity", 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["people", "split"]


@pytest.mark.parametrize("stop", [70, 130])
def test_a_split_that_was_broken_off_goes_on(people, tmp_path, listener, monkeypatch, stop):
    monkeypatch.setattr("ferkit.workflows.faces._BATCH", 50)
    split_faces(people, tmp_path / "unbroken", PARTS)
    with pytest.raises(KeyboardInterrupt):
        split_faces(people, tmp_path / "split", PARTS, progress=listener(stop_after=stop))
    assert not (tmp_path / "split").exists()
    progress = listener()
    split_faces(people, tmp_path / "split", PARTS, progress=progress)
    assert progress.steps <= 200 - stop
    assert contents(tmp_path / "split") == contents(tmp_path / "unbroken")
    assert not (tmp_path / "split.partial").exists()


def test_a_split_is_replaced_only_on_demand_and_nothing_else_ever(people, tmp_path):
    split_faces(people, tmp_path / "split", PARTS)
    with pytest.raises(OutputError, match="already holds a split"):
        split_faces(people, tmp_path / "split", {"a": 0.5, "b": 0.5})
    split_faces(people, tmp_path / "split", {"a": 0.5, "b": 0.5}, overwrite=True)
    assert sorted(path.name for path in (tmp_path / "split").iterdir()) == ["a", "b", "split.json"]
    (tmp_path / "split" / "a" / "thesis.txt").write_text("mine")
    (tmp_path / "sets").mkdir()
    merge_faces([people], tmp_path / "sets" / "copy")
    (tmp_path / "file").write_text("mine")
    for out, why in (
        (tmp_path / "split", "holds 'thesis.txt'"),
        (tmp_path, "holds the face set that is to be split"),
        (people, "holds the face set that is to be split"),
        (tmp_path / "sets", "holds 'copy', which is no part"),
        (tmp_path / "file", "is a file"),
    ):
        with pytest.raises(OutputError, match=why):
            split_faces(people, out, PARTS, overwrite=True)
    assert len(FaceSet.open(tmp_path / "sets" / "copy")) == 200


@pytest.mark.parametrize(
    ("parts", "by", "why"),
    [
        ({"a": 1.0}, "identity", "two parts"),
        ({"a": 0.5, "b": 0.6}, "identity", "1.1"),
        ({"a": 1.5, "b": -0.5}, "identity", "1.5"),
        ({"../a": 0.5, "b": 0.5}, "identity", "'../a'"),
        ({"split.json": 0.5, "b": 0.5}, "identity", "split.json"),
        ({"a": 0.5, "b": 0.5}, "people", "'people'"),
        ({"a": 0.5, "b": 0.25, "c": 0.25}, "identity", "2 groups"),
    ],
)
def test_splits_that_cannot_be(write, tmp_path, parts, by, why):
    faces = write("faces", [a_face(i, identity="ab"[i % 2]) for i in range(6)])
    with pytest.raises(FerkitError, match=why):
        split_faces(faces, tmp_path / "split", parts, by=by)
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]
