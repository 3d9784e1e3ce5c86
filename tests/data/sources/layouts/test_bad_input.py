"""What users run into: other folders, missing parts, damaged annotations."""

import numpy as np
import pytest

from ferkit.data.sources.layouts import LAYOUTS, open_layout
from ferkit.errors import (
    InputError,
    MissingPathError,
    UnknownLayoutError,
    UnreadableImageError,
)


def replace(path, old, new):
    text = path.read_text("utf-8")
    assert text.count(old) == 1
    path.write_text(text.replace(old, new), "utf-8")


def assert_only_refused(pictures, index, place, why):
    """Assert that one picture is refused by the name of its place, and that all others can be read."""
    for number, picture in enumerate(pictures):
        if number != index:
            picture.read()
    assert pictures[index].source.endswith(place)
    with pytest.raises(UnreadableImageError, match=why) as error:
        pictures[index].read()
    assert place in str(error.value)
    assert "\n" not in str(error.value)


# Names and folders


@pytest.mark.parametrize(
    ("name", "near"), [("rafdb", "raf-db"), ("raf-db:val", "raf-db:train"), ("lfw:train", "lfw"), ("raf-db:", "raf-db")]
)
def test_unknown_names(tmp_path, name, near):
    with pytest.raises(UnknownLayoutError, match=f"'{name}'.*{near}"):
        open_layout(name, tmp_path)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_folder_of_something_else(tmp_path, name):
    (tmp_path / "beach.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=str(tmp_path)):
        open_layout(name, tmp_path)


def test_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MissingPathError, match="gone"):
        open_layout("lfw", tmp_path / "gone")
    with pytest.raises(InputError, match="file' is no folder"):
        open_layout("lfw", tmp_path / "file")


def test_a_split_that_is_not_there(tree):
    root = tree("affectnet")
    (root / "validation.csv").unlink()
    with pytest.raises(InputError, match=r"val split .*train"):
        open_layout("affectnet:val", root)


@pytest.mark.parametrize(
    ("name", "part", "looked_for"),
    [
        ("raf-db", "Image", "Image/aligned or Image/original"),
        ("affectnet", "Manually_Annotated_Images", "Manually_Annotated_Images"),
        ("affectnet-npy", "val_set/annotations", "annotations"),
        ("ck+", "cohn-kanade-images", "cohn-kanade-images"),
        ("expw", "label", "label/label.lst"),
        ("ferplus", "fer2013.csv", "fer2013.csv beside fer2013new.csv"),
        ("aff-wild2", "annotations", "EXPR_"),
    ],
)
def test_a_part_is_missing(tree, name, part, looked_for):
    root = tree(name)
    (root / part).rename(root.parent / "elsewhere")
    with pytest.raises(InputError, match=f"no {looked_for}.* below"):
        open_layout(name, root)


def test_pictures_that_are_missing_stay_and_are_reported(tree):
    root = tree("raf-db")
    (root / "Image/aligned/train_00002_aligned.jpg").unlink()
    assert_only_refused(open_layout("raf-db", root), 1, "train_00002_aligned.jpg", "No such file")


# Damaged rows: reported one by one


OUTSIDE = "outside the data set"


RAF, FER, FERPLUS = "EmoLabel/list_patition_label.txt", "fer2013.csv", "fer2013new.csv"


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "index", "row", "why"),
    [
        ("raf-db", RAF, "train_00002.jpg 7", "train_00002.jpg", 1, 2, "1 fields instead of 2"),
        ("raf-db", RAF, "00002.jpg 7", "00002.jpg 8", 1, 2, "no class '8'"),
        ("raf-db", RAF, "train_00002.jpg", "../x.jpg", 1, 2, OUTSIDE),
        ("affectnet", "training.csv", "689/a.jpg", "/etc/passwd", 0, 0, OUTSIDE),
        ("affectnet", "training.csv", "689/a.jpg", r"..\\a.jpg", 0, 0, OUTSIDE),
        ("affectnet", "training.csv", "0.785714", "7", 0, 0, r"'7' lies outside"),
        ("affectnet", "training.csv", "20,30,40,50", "20,x,40,50", 1, 1, "could not convert"),
        ("affectnet", "validation.csv", "5.0;6.0,7,-1,1", "5.0;6.0,11,-1,1", 3, 1, "no class '11'"),
        ("fer2013", FER, "\n6,", "\nsix,", 2, 2, "could not convert"),
        ("fer2013", FER, "\n6,", "\n6;", 1, 2, "2 fields instead of 3"),
        ("fer2013", FER, "72,PublicTest", ",PublicTest", 2, 2, "2303 pixels"),
        ("fer2013", FER, "72,PublicTest", "256,PublicTest", 2, 2, "outside 0 to 255"),
        ("ferplus", FERPLUS, "4,0,0,1,3", "4,0,0,-1,3", 0, 0, "votes"),
        ("ferplus", FERPLUS, "Training,fer0000000.png,", "Training,", 0, 0, "11 fields instead of 12"),
    ],
)
def test_damaged_rows(tree, name, file, old, new, index, row, why):
    root = tree(name)
    replace(root / file, old, new)
    assert_only_refused(open_layout(name, root), index, f"{file}#{row}", why)


def pickled(path):
    with path.open("wb") as file:
        np.lib.format.write_array(file, np.array({"a": 1}, dtype=object), allow_pickle=True)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.write_bytes(b""), "EOF"),
        (lambda path: path.write_bytes(path.read_bytes()[:-2]), "could only read 0 elements"),
        (lambda path: np.save(path, np.array("11")), "no class '11'"),
        (pickled, "allow_pickle=False"),
    ],
)
def test_damaged_npy_annotations(tree, damage, why):
    root = tree("affectnet-npy")
    damage(root / "train_set/annotations/10_exp.npy")
    assert_only_refused(open_layout("affectnet-npy", root), 1, "train_set/annotations/10_exp.npy#0", why)


# Damaged files: reported at once

EXPR = "annotations/EXPR_Classification_Challenge/Train_Set/1-30-1280x720.txt"
VA = "annotations/VA_Estimation_Challenge/Validation_Set/video2_left.txt"


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "why"),
    [
        ("affectnet", "training.csv", "face_y,", "", "face_y"),
        ("fer2013", FER, "PublicTest", "Public", r"fer2013\.csv#2' is 'Public'"),
        ("ferplus", FERPLUS, "PublicTest,fer0000002.png,0,1,0,0,0,0,6,3,0,0\n", "", "has 3 rows and .* 4"),
        ("ck+", "Emotion/S005/001/S005_001_00000006_emotion.txt", "3.0000000e+00", "8", "no class '8'"),
        ("voxceleb1", "vox1_meta.csv", "\tdev", "", "4 fields instead of 5"),
        ("voxceleb1", "vox1_meta.csv", "VGGFace1 ID", "Name", "VGGFace1 ID"),
        ("aff-wild2", EXPR, "7", "8", "holds 8"),
        ("aff-wild2", EXPR, "7", "x", "is damaged"),
        ("aff-wild2", VA, "0.5,", "5,", "holds 5"),
        ("aff-wild2", VA, "0.5,", "nan,", "holds nan"),
    ],
)
def test_damaged_files(tree, name, file, old, new, why):
    root = tree(name)
    replace(root / file, old, new)
    with pytest.raises(InputError, match=why) as error:
        open_layout(name, root)
    assert "\n" not in str(error.value)
