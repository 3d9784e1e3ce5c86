import pytest
from PIL import Image

from ferkit.data.sources import Picture, SourceRules, open_sources
from ferkit.errors import InputError, UnreadableImageError
from samples import refusals


@pytest.fixture
def folder(tmp_path):
    """A folder with pictures under awkward names, their grey value being their number."""
    for value, name in enumerate(["1.png", "joy/2.png", "with blank.png", "ü/é, 3.png", "joy/no suffix"]):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), value).save(path, "PNG")
    Image.new("L", (4, 4), 99).save(tmp_path / "beside.png")
    return tmp_path / "set"


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def value(picture):
    return int(picture.read()[0, 0, 0])


# Lists


def test_a_list_of_paths(folder):
    names = [
        "# a remark",
        "",
        "ü/é, 3.png",
        "with blank.png",
        "  1.png  ",
        "./joy/2.png",
        str(folder / "1.png"),
        "1.png",
    ]
    pictures = open_sources([write(folder / "x.txt", "\n".join(names))]).pictures
    assert [value(picture) for picture in pictures] == [3, 2, 0, 1, 0, 0]
    assert [picture.source for picture in pictures[1:4]] == [
        str(folder / name) for name in ("with blank.png", "1.png", "joy/2.png")
    ]
    assert {picture.label for picture in pictures} == {None}


@pytest.mark.parametrize(
    ("line", "number", "label"),
    [
        ("1.png joy", 0, "joy"),
        ("1.png\tjoy and more", 0, "joy and more"),
        ("with blank.png 5", 2, "5"),
        ("with blank.png", 2, None),
        ("ü/é, 3.png   very happy", 3, "very happy"),
        ("joy/no suffix", 4, None),
        ("joy/no suffix\tjoy", 4, "joy"),
        ("joy/no suffix joy", 4, "joy"),
        ("JOY\\2.png 1", None, "1"),
        ("joy\\2.png 1", 1, "1"),
        ("../beside.png 1", 99, "1"),
    ],
)
def test_a_line_of_a_list(folder, line, number, label):
    list_ = write(folder / "x.lst", f"{line}\n1.png")
    picture = open_sources([list_]).pictures[0]
    assert picture.label == label
    if number is None:
        assert refusals([picture], "/")[0][1] == "No such file or directory"
    else:
        assert value(picture) == number


# CSV


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_a_table(folder, delimiter, suffix):
    rows = [
        ["image", "Expression", "subject", "clip", "time_s", "valence", "arousal", "x0", "y0", "x1", "y1", "else"],
        ["1.png", "joy", "S1", "c", "0.5", "0.25", "-2", "1", "2", "3", "4", "?"],
        ["with blank.png", "", "", "", "", "", "", "", "", "", "", ""],
    ]
    table = write(folder / f"x{suffix}", "\n".join(delimiter.join(row) for row in rows))
    first, second = open_sources([table]).pictures
    assert first == Picture(str(folder / "1.png"), "joy", "S1", None, "c", 0.5, (1, 2, 3, 4), 0.25, None)
    assert second == Picture(str(folder / "with blank.png"))
    assert [value(first), value(second)] == [0, 2]


@pytest.mark.parametrize(("encoding", "end"), [("utf-8-sig", "\n"), ("utf-8", "\r\n"), ("utf-8-sig", "\r")])
def test_line_ends_and_byte_order_marks_are_no_part_of_a_list_or_a_table(folder, encoding, end):
    text = end.join(["ü/é, 3.png joy", "", "1.png fear", ""])
    pictures = open_sources([write(folder / "x.txt", text, encoding)]).pictures
    assert [(value(picture), picture.label) for picture in pictures] == [(3, "joy"), (0, "fear")]
    text = end.join(["file,label", '"ü/é, 3.png",joy', "", "joy\\2.png,fear", "1.png,joy", "1.png,joy", ""])
    pictures = open_sources([write(folder / "x.csv", text, encoding)]).pictures
    found = [(value(picture), picture.label) for picture in pictures]
    assert found == [(3, "joy"), (1, "fear"), (0, "joy"), (0, "joy")]


def test_damaged_rows_are_problems_of_their_own(folder):
    rows = [
        "label,image,time_s",
        "joy,1.png,1",
        "joy",
        "joy,,1",
        "joy,1.png,late",
        "joy,gone.png,1",
        "a,1.png,1,b,c",
        ",,",
    ]
    pictures = open_sources([write(folder / "x.csv", "\n".join(rows))]).pictures
    no_picture = "the row names no picture"
    assert refusals(pictures, "/") == [
        None,
        ("x.csv#1", no_picture),
        ("x.csv#2", no_picture),
        ("x.csv#3", "its time_s 'late' is no number"),
        ("gone.png", "No such file or directory"),
        None,
        ("x.csv#6", no_picture),
    ]


def test_videos_in_a_table(folder):
    rows = ["path,label,subject,time_s", "a.mp4,joy,S1,", "1.png,fear,S2,", "b.mov,joy,S3,late", "c.AVI,,,"]
    found = open_sources([write(folder / "x.csv", "\n".join(rows))])
    assert [(video.source, video.label, video.identity) for video in found.videos] == [
        (str(folder / "a.mp4"), "joy", "S1"),
        (str(folder / "c.AVI"), None, None),
    ]
    assert refusals(found.pictures, "/") == [None, ("x.csv#2", "its time_s 'late' is no number")]


def test_a_table_of_fer2013_holds_its_pictures(tmp_path):
    pixels = " ".join(str(number % 256) for number in range(48 * 48))
    rows = ["emotion,pixels,Usage", f"3,{pixels},Training", "6,1 2 3,PrivateTest"]
    table = write(tmp_path / "x.csv", "\n".join(rows))
    pictures = open_sources([table], SourceRules(identity_from=r"x\.csv")).pictures
    assert pictures[0].read()[0, :3, 0].tolist() == [0, 1, 2]
    assert [(picture.label, picture.identity) for picture in pictures] == [("happiness", "x.csv"), ("neutral", "x.csv")]
    with pytest.raises(UnreadableImageError, match=r"x\.csv#1.*has 3 pixels"):
        pictures[1].read()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.txt", b"", "is empty; write a picture's path"),
        (
            "x.txt",
            b"Dear reader,\na letter.",
            r"no picture that .*x\.txt' names can be found \(the first: '.*/Dear'\)",
        ),
        ("x.txt", b"\x89PNG\r\n\x1a\n\0\0", "is no text in UTF-8"),
        ("x.txt", "1.png".encode("utf-16"), "is no text in UTF-8"),
        (
            "x.txt",
            b"https://x.org/1.png\nhttps://x.org/2.png",
            r"web addresses \('https://x\.org/1\.png'\); download",
        ),
        ("x.csv", b"", r"no column with the pictures' paths, such as `image` or `path` \(it is empty\)"),
        ("x.csv", b"a;b\n1;2", r"\(only: a, b\); say which one it is with `columns="),
        ("x.csv", b"image\ngone.png", r"no picture that .*x\.csv' names can be found \(the first: '.*/gone\.png'\)"),
        ("x.csv", b"image,time_s\n1.png,late", r"\(the first: '.*x\.csv#0'\)"),
        ("x.csv", b"image\nhttps://x.org/1.png", "names web addresses"),
        ("x.csv", b"image\n\xff\xfe", "is no text in UTF-8"),
        ("x.csv", b'image\n"' + b"x" * 200_000, "is no table .*field larger than field limit"),
    ],
)
def test_a_text_that_is_no_list_and_no_table(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        open_sources([tmp_path / name])


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\npath;label\n1.png;joy\n",
        "# made by hand\npath,label\n1.png,joy\n",
        'path;label;"age, years, rough"\n1.png;joy;3\n',
        "path,labels\n1.png,joy\n",
    ],
)
def test_tables_as_other_programs_write_them(folder, text):
    (picture,) = open_sources([write(folder / "x.csv", text)]).pictures
    assert (picture.label, value(picture)) == ("joy", 0)


def test_files_are_found_below_the_tables_folder_and_in_either_form_of_unicode(folder):
    decomposed = "u\u0308/e\u0301, 3.png"
    table = write(folder / "x.csv", f'path,label\n2.png,joy\n"{decomposed}",fear\n')
    assert [value(picture) for picture in open_sources([table]).pictures] == [1, 3]


def test_fer2013_without_labels(tmp_path):
    pixels = " ".join(["7"] * 48 * 48)
    pictures = open_sources([write(tmp_path / "test.csv", f'pixels\n"{pixels}"\n')]).pictures
    assert [(picture.label, value(picture)) for picture in pictures] == [(None, 7)]
