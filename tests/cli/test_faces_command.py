import json

import pytest
from PIL import Image

from ferkit.data.face_set import FaceSet


@pytest.fixture
def faces(make_face_set, noise_crops, tmp_path):
    """Twelve faces of six people in faces/; every second one is 20 px large and sad, the others 90 px and [happy]."""
    return make_face_set(
        noise_crops(12),
        source=lambda row: str(tmp_path / f"{row}.jpg"),
        identity=lambda row: f"person {row // 2}",
        label=lambda row: "sad" if row % 2 else "[happy]",
        size=lambda row: 20.0 if row % 2 else 90.0,
    ).path


def rows_of(text):
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.split()}


def test_info_for_people(ferkit_command, faces):
    done = ferkit_command("faces", "info", "--sheet", "sheet.png", "--sheet-faces", 5)
    assert done.code == 0
    rows = rows_of(done.out)
    assert done.out.startswith("faces: 12 faces, 128 px of ferkit-128, 0.6 MB")
    assert rows["from"] == ["12", "pictures"]
    assert rows["people"] == ["6"]
    assert rows["repeated"] == ["0", "faces"]
    assert rows["[happy]"] == rows["sad"] == ["6", "50.0%"]
    assert rows["quality"] == ["5%", "25%", "median", "75%", "95%"]
    assert rows["size,"] == ["px", "20", "20", "55", "90", "90"]
    assert rows["sheet"] == ["sheet.png"]
    with Image.open("sheet.png") as sheet:
        assert sheet.width == 5 * 132 + 4


def test_filter_and_merge(ferkit_command, faces):
    filtered = ("faces", "filter", "faces", "--min-size", 40, "--where", "identity > 'person 1'", "-o")
    said = [line.strip() for line in ferkit_command(*filtered, "large").out.splitlines()]
    assert [line.partition(" left out by ")[2] for line in said[1:]] == [
        "--min-size 40",
        filtered[5] + " " + filtered[6],
    ]
    assert len(FaceSet.open("large")) == 4
    dropped = {"--min-size 40": 6, "--where identity > 'person 1'": 2}
    told = json.loads(ferkit_command(*filtered, "again", "--json").out)
    assert told == {"path": "again", "faces": 4, "total": 12, "dropped": dropped}
    merged = ("faces", "merge", "large", "faces", "-o", "both")
    assert ferkit_command(*merged, "--dedupe").out == "both: 12 faces of 2 sets without 4 duplicates\n"
    taken = ferkit_command(*merged)
    assert (taken.code, "add --overwrite" in taken.err) == (6, True)
    again = ferkit_command(*merged, "--overwrite", "--json")
    assert json.loads(again.out) == {"path": "both", "faces": 16, "sets": 2, "duplicates": 0}


def test_split(ferkit_command, faces):
    done = ferkit_command("faces", "split", "faces", "-o", "split", "--parts", "train=0.5,[test]=0.5")
    rows = rows_of(done.out)
    assert done.out.startswith("split: train, [test]\n")
    assert rows["faces"] == ["6", "6"]
    assert rows["people"] == ["3", "3"]
    assert rows["of"] == ["all", "50.0%", "50.0%"]
    assert rows["[happy]"] == rows["sad"] == ["50.0%", "50.0%"]
    told = json.loads(ferkit_command("faces", "split", "faces", "-o", "thirds", "--by", "none", "--json").out)
    assert [part["name"] for part in told["parts"]] == ["train", "valid", "test"]
    assert sum(part["faces"] for part in told["parts"]) == 12
    above = ferkit_command("faces", "info", "thirds")
    assert (above.code, "is a folder of face sets (test, train, valid); name one of them" in above.err) == (5, True)


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["info", "nothing"], 5, "is not a face set"),
        (["filter", "faces", "-o", "out", "--max-yaw", 200], 2, "--max-yaw must be a number from 0 to 90, not 200"),
        (["filter", "faces"], 2, "--out"),
        (["split", "faces", "-o", "out", "--parts", "train"], 2, "is not NAME=SHARE"),
        (["split", "faces", "-o", "out", "--parts", "a=0.5,a=0.5"], 2, "names a part twice"),
    ],
)
def test_mistakes_are_one_clear_line(ferkit_command, faces, words, code, why):
    done = ferkit_command("faces", *words)
    assert done.code == code
    assert why in done.err
    assert [path.name for path in faces.parent.iterdir()] == ["faces"]
