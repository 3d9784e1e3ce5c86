import io
import json
import tarfile

import pytest

from ferkit.data.sources import SourceRules, find_picture, open_sources
from ferkit.errors import InputError, UnreadableImageError
from samples import grays, pictures_of, places, png, refusals


def write_tar(path, members, form=tarfile.PAX_FORMAT):
    with tarfile.open(path, "w", format=form) as tar:
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            tar.addfile(header, io.BytesIO(content))
    return path


def open_tar(path, **rules):
    return open_sources([path], SourceRules(**rules)).pictures


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_samples_in_the_files_order(tmp_path, form):
    long = "d" * 90 + "/" + "n" * 95 if form != tarfile.USTAR_FORMAT else "n" * 90
    known = {"label": "joy", "identity": 7, "clip": "c", "time_s": 0.5, "box": [1, 2, 3, 4]}
    members = [
        ("b.json", json.dumps(known).encode()),
        ("b.png", png(1)),
        ("a.left.jpg", png(2)),
        ("a.cls", b"3\n"),
        ("a.right.jpg", png(3)),
        ("ü ö.webp", png(4)),
        (f"{long}.png", png(5)),
        (f"{long}.txt", "very happy".encode("utf-8-sig")),
        ("b.npy", b"other"),
    ]
    pictures = open_tar(write_tar(tmp_path / "x.tar", members, form))
    assert places(pictures) == ["b.png", "a.left.jpg", "a.right.jpg", "ü ö.webp", f"{long}.png"]
    assert grays(pictures) == [1, 2, 3, 4, 5]
    assert [picture.label for picture in pictures] == ["joy", "3", "3", None, "very happy"]
    first = pictures[0]
    assert (first.identity, first.clip, first.time_s, first.box) == ("7", "c", 0.5, (1, 2, 3, 4))
    assert (first.file, first.size()) == (tmp_path / "x.tar", (4, 4))


def test_what_label_counts(tmp_path):
    members = [
        *(("a/1.cls", b"cls"), ("a/1.json", b'{"label": "json"}'), ("a/1.txt", b"txt"), ("a/1.png", png(0))),
        *(("a/2.txt", b"txt"), ("a/2.json", b'{"label": "json", "valence": 0.5}'), ("a/2.png", png(0))),
        *(("a/3.json", b'{"label": null}'), ("a/3.txt", b"txt"), ("a/3.png", png(0))),
        *(("b/1.json", b"{}"), ("b/1.png", png(0))),
        ("b/2.png", png(0)),
    ]
    pictures = open_tar(write_tar(tmp_path / "x.tar", members))
    assert [picture.label for picture in pictures] == ["cls", "json", "txt", "b", "b"]
    assert pictures[1].valence == 0.5


def test_hidden_files_and_folders_are_passed_over_and_links_are_listed(tmp_path):
    (tmp_path / "in" / "folder.png").mkdir(parents=True)
    (tmp_path / "in" / "1.png").write_bytes(png(1))
    (tmp_path / "in" / "._1.png").write_bytes(png(2))
    (tmp_path / "in" / "link.png").symlink_to("1.png")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(tmp_path / "in", ".")
    pictures = open_tar(tmp_path / "x.tar")
    assert sorted(places(pictures)) == ["./1.png", "./link.png"]
    link = next(picture for picture in pictures if picture.source.endswith("link.png"))
    with pytest.raises(UnreadableImageError, match="a link within the tar file"):
        link.read()


def test_names_that_lead_elsewhere_are_only_names(tmp_path):
    names = ["../../up.png", "/etc/root.png", "a/../../b.png", "a#b%23.png", "a%23b#.png"]
    folder = tmp_path / "in"
    folder.mkdir()
    pictures = open_tar(write_tar(folder / "x.tar", pictures_of(names)))
    assert grays(pictures) == list(range(5))
    assert {picture.file for picture in pictures} == {folder / "x.tar"}
    assert [find_picture(picture.source).read()[0, 0, 0] for picture in pictures] == list(range(5))
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "x.tar"]


def test_damaged_samples_are_problems_of_their_own(tmp_path):
    members = [
        *(("1.png", png(0)), ("1.json", b"{")),
        *(("2.png", png(0)), ("2.json", b"[1]")),
        *(("3.png", png(0)), ("3.json", b'{"time_s": "late"}')),
        *(("4.png", png(0)), ("4.cls", b"\xff\xfe")),
        ("5.png", b""),
        ("6.png", png(6)),
    ]
    found = refusals(open_tar(write_tar(tmp_path / "x.tar", members)))
    assert [refusal and refusal[0] for refusal in found] == ["1.png", "2.png", "3.png", "4.png", "5.png", None]
    reasons = ["'1.json' beside it cannot", "no JSON object", "its time_s 'late' is no number", "utf-8", "empty"]
    assert all(why in refusal[1] for why, refusal in zip(reasons, found[:5], strict=True))


END = ("end", "the tar file is cut short or damaged behind the members before")
LAST = 3 * 512 * 2  # where the third of three members begins: a header and a block each


@pytest.mark.parametrize(
    ("keep", "found"),
    [
        (10_000, [None] * 3),
        (LAST, [None] * 3),  # the end's zeros are missing: not every program writes them
        (LAST - 512 + 20, [None, None, ("3.png", "the tar file is cut short within '3.png'"), END]),
        (LAST - 700, [None, None, END]),
        (512 + 20, InputError),
        (200, InputError),
        (0, InputError),
    ],
)
def test_a_tar_file_that_is_cut_short(tmp_path, keep, found):
    path = write_tar(tmp_path / "x.tar", pictures_of(["1.png", "2.png", "3.png"]))
    path.write_bytes(path.read_bytes()[:keep])
    if found is InputError:
        with pytest.raises(InputError, match=r"x\.tar' (as a tar file|is cut short before its first image ends)"):
            open_tar(path)
    else:
        assert refusals(open_tar(path)) == found


@pytest.mark.parametrize(
    ("name", "unpacker"),
    [("x.tar.gz", "gunzip"), ("x.TGZ", "gunzip"), ("x.tar.xz", "unxz"), ("x.tar.zst", "unzstd"), ("x.7z", "7z x")],
)
def test_a_compressed_file_says_how_to_unpack_it(tmp_path, name, unpacker):
    (tmp_path / name).write_bytes(b"\x1f\x8b")
    with pytest.raises(InputError, match=rf"{name}'.*`{unpacker}`"):
        open_tar(tmp_path / name)
