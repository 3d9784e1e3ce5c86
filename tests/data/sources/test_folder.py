import os
from pathlib import Path

import pytest

from ferkit.data.sources import SourceRules, open_sources
from ferkit.errors import InputError, MissingPathError, NoImagesError, UnreadableImageError
from samples import save_gray as save


def below(root, pictures):
    return [str(Path(picture.source).relative_to(root)) for picture in pictures]


def test_natural_order_through_all_folders(tmp_path):
    for name in ("10.jpg", "2.png", "1/9.bmp", "b.TIFF", "B2.webp", "b10.JPEG", "a/x10.tif", "a/x9.jpg"):
        save(tmp_path / name)
    expected = ["1/9.bmp", "2.png", "10.jpg", "a/x9.jpg", "a/x10.tif", "B2.webp", "b10.JPEG", "b.TIFF"]
    pictures = open_sources([tmp_path]).pictures
    assert below(tmp_path, pictures) == expected
    assert {picture.label for picture in pictures} == {None}


def test_hidden_files_and_folders_that_devices_make_are_passed_over(tmp_path):
    for name in (".thumb.png", ".cache/x.png", "x.png"):
        save(tmp_path / name)
    for folder in ("@eaDir/x.png", "#recycle", "$RECYCLE.BIN", "lost+found", "__MACOSX", "@__thumb"):
        save(tmp_path / folder / "1.png")
    (tmp_path / "notes.txt").write_text("no")
    (tmp_path / "folder.png").mkdir()
    assert below(tmp_path, open_sources([tmp_path]).pictures) == ["x.png"]


def test_what_is_no_file_is_listed_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    for picture in open_sources([tmp_path]).pictures:
        for look in (picture.read, picture.size, picture.sha256):
            with pytest.raises(UnreadableImageError, match="pipe or device"):
                look()


def test_photos_and_videos_are_known_by_their_content_too(tmp_path):
    save(tmp_path / "subject01.png").rename(tmp_path / "subject01.happy")
    (tmp_path / "clip").write_bytes(b"\0\0\0\x18ftypisom" + bytes(500))
    (tmp_path / "types.ts").write_text("export const x = 1")
    (tmp_path / "tape.MTS").write_bytes((b"G" + bytes(187)) * 4)
    found = open_sources([tmp_path])
    assert below(tmp_path, found.pictures) == ["subject01.happy"]
    assert [video.source for video in found.videos] == [str(tmp_path / name) for name in ("clip", "tape.MTS")]


def test_what_looks_like_media_and_is_not_read_is_listed_with_its_remedy(tmp_path):
    save(tmp_path / "x.png")
    for name, remedy in {"a.zip": "name it itself", "b.tar.gz": "unpack", "c.tga": "export", "d.jxl": "export"}.items():
        (tmp_path / name).write_bytes(b"PK\3\4" + bytes(40))
        (picture,) = [each for each in open_sources([tmp_path]).pictures if each.source.endswith(name)]
        with pytest.raises(UnreadableImageError, match=remedy):
            picture.read()


def test_links_may_run_in_circles(tmp_path):
    save(tmp_path / "a" / "x.png")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    pictures = open_sources([tmp_path]).pictures
    assert below(tmp_path, pictures) == ["a/x.png", "self.png"]
    with pytest.raises(UnreadableImageError, match=r"self\.png"):
        pictures[1].read()


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["joy/1.png", "joy/ana/2.png", "fear/3.png"], ["fear", "joy", "joy"]),
        (["joy/1.png", "joy/2.png"], [None] * 2),
        (["train/1.png", "val/2.png"], [None] * 2),
        (["a/1.png", "b/1.png", "1.png", "2.png"], [None] * 4),
        (["joy/1.png", "fear/2.png", "3.png"], [None, "fear", "joy"]),  # one loose picture costs no label
        (["SET/train/fear/1.png", "SET/train/joy/2.png", "SET/Validation/joy/3.png"], ["fear", "joy", "joy"]),
        (["train/1/train_00001_aligned.jpg", "train/7/train_00002_aligned.jpg"], ["surprise", "neutral"]),  # RAF-DB
        (["val/0/image0000001.jpg", "val/7/image0000002.jpg"], ["neutral", "contempt"]),  # AffectNet
        (["1/a.png", "7/b.png"], ["1", "7"]),
    ],
)
def test_folders_of_classes_label_their_pictures(tmp_path, names, labels):
    (tmp_path / "empty").mkdir()
    for name in names:
        save(tmp_path / name)
    found = open_sources([tmp_path])
    assert [picture.label for picture in found.pictures] == labels
    assert any(labels) or found.labels_from == ""


@pytest.mark.parametrize(
    "names",
    [
        ("p1/happy/1.png", "p1/bored/2.png", "p2/happy/1.png", "p2/sad/1.png"),
        ("train_data/happy/1.png", "train_data/bored/2.png", "holdout/happy/3.png", "holdout/sad/1.png"),
        ("fold0/images/Happy/1.png", "fold0/images/bored/2.png", "fold1/images/Happy/1.png", "fold1/images/Sad/2.png"),
    ],
)
def test_folders_named_as_expressions_are_the_classes_at_any_depth(tmp_path, names):
    for name in names:
        save(tmp_path / name)
    labels = {Path(picture.source).parent.name: picture.label for picture in open_sources([tmp_path]).pictures}
    assert {label.casefold() for label in labels.values()} == {"happy", "bored", "sad"}
    assert all(folder == label for folder, label in labels.items())


@pytest.mark.parametrize(
    "stated",
    ["names: ['Anger', 'Happy']", "names:\n- Anger\n- Happy", "names:\n  0: Anger\n  1: Happy", "names: {1: Happy}"],
)
@pytest.mark.parametrize(("images", "labels"), [("train/images", "train/labels"), ("images/val", "labels/val")])
def test_yolo_labels_are_read_beside_the_pictures(tmp_path, stated, images, labels):
    for name, number in (("a", "1"), ("b", "7"), ("c", "")):
        save(tmp_path / images / f"{name}.png")
        (tmp_path / labels).mkdir(parents=True, exist_ok=True)
        (tmp_path / labels / f"{name}.txt").write_text(f"{number} 0.5 0.5 1 1\n" if number else "")
    (tmp_path / "data.yaml").write_text(f"nc: 2\n{stated}\n")
    (tmp_path / "other.yaml").write_text("names: [")
    found = open_sources([tmp_path])
    assert [picture.label for picture in found.pictures] == ["happy", None, None]
    assert found.labels_from == "YOLO's label files"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", "path,emotion\nimages/1.png,fear\n2.png,joy\n"),
        ("images/metadata.csv", "file_name,emotion\n1.png,fear\n2.png,joy\n"),
        (
            "images/metadata.jsonl",
            '{"file_name": "1.png", "emotion": "fear"}\n\n{"emotion": "joy", "file_name": "2.png"}\n',
        ),
    ],
)
def test_a_table_beside_unsorted_pictures_labels_them(tmp_path, name, text):
    for number in (1, 2, 3):
        save(tmp_path / "images" / f"{number}.png")
    (tmp_path / name).write_text(text)
    (tmp_path / "notes.csv").write_text("date,remark\n1,2\n")
    (tmp_path / "elsewhere.csv").write_text("path,label\n/gone/1.png,anger\n")
    found = open_sources([tmp_path])
    assert [picture.label for picture in found.pictures] == ["fear", "joy", None]
    assert found.labels_from == f"column 'emotion' of {name}"


def test_class_folders_come_before_tables_and_a_file_that_is_named_twice_comes_once(tmp_path):
    for name in ("joy/1.png", "fear/1.png"):
        save(tmp_path / name)
    (tmp_path / "labels.csv").write_text("path,label\njoy/1.png,x\nfear/1.png,y\n")
    assert [picture.label for picture in open_sources([tmp_path]).pictures] == ["fear", "joy"]
    (tmp_path / "link").symlink_to(tmp_path / "joy")
    found = open_sources([tmp_path / "joy", tmp_path / "joy" / "1.png", tmp_path / "link"])
    assert (len(found.pictures), found.repeated) == (1, 2)


@pytest.mark.parametrize(
    ("name", "error", "what"),
    [
        ("phtos", MissingPathError, "phtos"),
        ("x" * 300, InputError, "File name too long"),
        ("empty", NoImagesError, r"\.avif, \.bmp.*\.wmv$"),
    ],
)
def test_nothing_found(tmp_path, name, error, what):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "notes.txt").write_text("no")
    with pytest.raises(error, match=what):
        open_sources([tmp_path / name])


@pytest.mark.parametrize(
    ("names", "kinds"), [(["x.parquet"], "parquet"), (["a/1.zip", "b/2.TAR", "b/3.tar"], "tar and zip")]
)
def test_a_folder_of_containers_says_how_to_name_them(tmp_path, names, kinds):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(NoImagesError, match=f"{kinds} files"):
        open_sources([tmp_path])


# Videos


def test_videos_come_beside_the_pictures(tmp_path):
    save(tmp_path / "joy" / "1.png")
    (tmp_path / "fear").mkdir()
    for name in ("joy/10.MP4", "joy/2.webm", "joy/.hidden.mov", "fear/1.avi"):
        (tmp_path / name).touch()
    found = open_sources([tmp_path], SourceRules(fps=2.5))
    assert below(tmp_path, found.pictures) == ["joy/1.png"]
    assert below(tmp_path, found.videos) == ["fear/1.avi", "joy/2.webm", "joy/10.MP4"]
    assert [video.label for video in found.videos] == ["fear", "joy", "joy"]
    assert {(video.identity, video.fps) for video in found.videos} == {(None, 2.5)}
    assert found.pictures[0].label == "joy"  # fear has no image, but it has a video


# Labels and identities from paths
