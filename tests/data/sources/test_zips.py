import zipfile

import pytest

from ferkit.data.sources import SourceRules, archives, find_picture, open_sources
from ferkit.errors import InputError, UnreadableImageError
from samples import flip, grays, pictures_of, places, png


def write_zip(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def open_zip(path, **rules):
    return open_sources([path], SourceRules(**rules)).pictures


def mark_encrypted(path, *names):
    """Set the flag of encryption in the archive's directory, as far as a reader can tell without the password."""
    data = bytearray(path.read_bytes())
    for name in names:
        entry = data.rindex(name.encode()) - 46
        assert data[entry : entry + 4] == b"PK\x01\x02"
        data[entry + 8] |= 1
    path.write_bytes(data)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_in_natural_order(tmp_path, compression):
    names = ["10.png", "2.PNG", "b/10 ü.jpg", "b/9.webp", "notes.txt", "a/x.png", "B/1.png"]
    passed_over = ["__MACOSX/._1.png", ".hidden.png", ".cache/1.png", "2.png/"]
    pictures = open_zip(write_zip(tmp_path / "x.zip", pictures_of(names + passed_over), compression))
    assert places(pictures) == ["2.PNG", "10.png", "a/x.png", "B/1.png", "b/9.webp", "b/10 ü.jpg"]
    assert grays(pictures) == [1, 0, 5, 6, 3, 2]
    assert [picture.size() for picture in pictures] == [(4, 4)] * 6
    assert pictures[0].file == tmp_path / "x.zip"


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["set/fear/1.png", "set/joy/2.png"], ["fear", "joy"]),  # as if the folder in the archive were named
        (["fear\\1.png", "joy\\2.png"], ["fear", "joy"]),  # zipped on Windows
        (["1.png", "fear/2.png", "joy/3.png"], [None, "fear", "joy"]),
    ],
)
def test_folders_of_classes_label_their_pictures(tmp_path, names, labels):
    pictures = open_zip(write_zip(tmp_path / "x.zip", pictures_of(names)))
    assert [picture.label for picture in pictures] == labels
    assert grays(pictures) == list(range(len(names)))


def test_names_that_lead_elsewhere_are_only_names(tmp_path):
    names = ["../../up.png", "/etc/root.png", "a/../../b.png", "C:\\x.png", "./a#b%23.png", "a%23b#.png"]
    folder = tmp_path / "in"
    folder.mkdir()
    pictures = open_zip(write_zip(folder / "x.zip", pictures_of(names)))
    assert sorted(grays(pictures)) == list(range(6))
    assert {picture.file for picture in pictures} == {folder / "x.zip"}
    assert [find_picture(picture.source).read()[0, 0, 0] for picture in pictures] == grays(pictures)
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "x.zip"]


def test_a_damaged_member_is_a_problem_of_its_own(tmp_path):
    path = write_zip(tmp_path / "x.zip", [*pictures_of(["1.png", "2.png"]), ("3.png", b""), ("4.png", b"no image")])
    flip(path, path.read_bytes().index(png(0)) + 20)
    pictures = open_zip(path)
    for number, why in ((0, "damaged here: Bad CRC-32"), (2, "it is empty"), (3, "its content is no image")):
        with pytest.raises(UnreadableImageError, match=rf"x\.zip#{number + 1}\.png.*{why}"):
            pictures[number].read()
    assert grays(pictures[1:2]) == [1]


def test_an_encrypted_member_is_a_problem_of_its_own(tmp_path):
    path = write_zip(tmp_path / "x.zip", pictures_of(["1.png", "2.png"]))
    mark_encrypted(path, "1.png")
    pictures = open_zip(path)
    assert grays(pictures[1:]) == [1]
    with pytest.raises(UnreadableImageError, match=r"x\.zip#1\.png.*it is encrypted"):
        pictures[0].read()
    mark_encrypted(path, "2.png")
    with pytest.raises(InputError, match=r"x\.zip' are encrypted"):
        open_zip(path)


def test_a_member_that_would_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_MAX_BYTES", 1000)
    path = write_zip(tmp_path / "x.zip", [("1.png", bytes(1001)), ("2.png", png(2))], zipfile.ZIP_DEFLATED)
    pictures = open_zip(path)
    with pytest.raises(UnreadableImageError, match="1,001 bytes"):
        pictures[0].read()
    assert grays(pictures[1:]) == [2]


def test_what_cannot_be_read_in_an_archive_is_listed_with_its_remedy(tmp_path):
    video = b"\0\0\0\x18ftypisom" + bytes(500)
    raw = b"II*\0" + bytes(100)
    members = [("clip.mp4", video), ("inner.zip", b"PK"), ("photo.CR2", raw), ("subject01.happy", png(1))]
    opened = open_zip(write_zip(tmp_path / "x.zip", members))
    pictures = {picture.source.rpartition("#")[2]: picture for picture in opened}
    assert pictures["subject01.happy"].size() == (4, 4)
    remedies = {"clip.mp4": "a video: unpack", "inner.zip": "an archive", "photo.CR2": "export it as JPEG"}
    for name, remedy in remedies.items():
        with pytest.raises(UnreadableImageError, match=remedy):
            pictures[name].read()


def test_yolo_labels_of_an_archive(tmp_path):
    members = [("x/data.yaml", b"names: [Anger, Happy]"), ("x/train/labels/a.txt", b"1 .5 .5 1 1")]
    found = open_sources([write_zip(tmp_path / "x.zip", [*pictures_of(["x/train/images/a.png"]), *members])])
    assert ([picture.label for picture in found.pictures], found.labels_from) == (["happy"], "YOLO's label files")
    assert open_sources([write_zip(tmp_path / "y.zip", pictures_of(["a.png"]))]).labels_from == ""
