import numpy as np
import pytest
from PIL import Image

from ferkit.data.fec_triplets import read_fec
from ferkit.errors import InputError, MissingPathError
from samples import face

WHOLE = (0.0, 1.0, 0.0, 1.0)  # left, right, top, bottom


def place(name, box=WHOLE):
    return [f"http://farm3.staticflickr.com/2345/{name}.jpg", *box]


def row(names="abc", kind="ONE_CLASS_TRIPLET", votes=(1, 1, 1, 1, 2, 3), boxes=(WHOLE,) * 3):
    fields = [value for name, box in zip(names, boxes, strict=True) for value in place(name, box)]
    return [*fields, kind, *(value for number, vote in enumerate(votes) for value in (f"1234{number}", vote))]


@pytest.fixture
def published(tmp_path):
    """Write a table as Google publishes it, ragged and without a header, beside pictures of 200 x 100."""

    def write(*rows, pictures="abcdef"):
        folder = tmp_path / "downloads" / "2345"
        folder.mkdir(parents=True)
        for name in pictures:
            Image.new("RGB", (200, 100)).save(folder / f"{name}.jpg")
        table = tmp_path / "faceexp-comparison-data-test-public.csv"
        table.write_text("".join(",".join(map(str, fields)) + "\n" for fields in rows))
        return table, tmp_path / "downloads"

    return write


def test_rows_become_triplets_with_the_odd_face_that_most_people_name(published):
    rows = [
        row("abc", votes=(1, 1, 1, 1, 2, 3)),
        row("bcd", "TWO_CLASS_TRIPLET", votes=(3, 3, 3, 1, 3)),
        row("dae", "THREE_CLASS_TRIPLET", votes=(2,)),
    ]
    fec = read_fec(*published(*rows))
    assert [face.file.stem for face in fec.faces] == list("abcde")
    assert fec.triplets.tolist() == [[0, 1, 2], [1, 2, 3], [3, 0, 4]]
    assert fec.odd.tolist() == [0, 2, 1]
    assert fec.kinds == ("ONE_CLASS_TRIPLET", "TWO_CLASS_TRIPLET", "THREE_CLASS_TRIPLET")


def test_what_is_missing_undecided_or_damaged_is_left_out_and_counted(published):
    rows = [
        row("abc"),
        row("abx"),
        row("xyc"),
        row("abd", votes=(1, 1, 2, 2)),
        row("abe", kind="FOUR_CLASS_TRIPLET"),
        row("abe", votes=(4,)),
        row("abe", votes=()),
        row("abe", boxes=[(0.5, 0.4, 0.1, 0.9), WHOLE, WHOLE]),
        row("abe")[:15],
        row("abe", boxes=[("", 0.4, 0.1, 0.9), WHOLE, WHOLE]),
    ]
    table, folder = published(*rows)
    assert len(read_fec(table, folder).triplets) == 1
    (folder / "2345" / "c.jpg").unlink()
    with pytest.raises(InputError, match=r"3 lack a picture \(3 are not here\), 1 have no majority, 6 rows are not"):
        read_fec(table, folder)


def test_names_of_addresses_with_queries_and_escapes(published):
    fields = row("abc")
    fields[0] = '"http://host/x/a%20b.jpg?zz=1"'
    table, folder = published(fields)
    (folder / "a b.jpg").write_bytes((folder / "2345" / "a.jpg").read_bytes())
    assert read_fec(table, folder).faces[0].file.name == "a b.jpg"


def known(name, box):
    return face(f"/elsewhere/{name}.jpg", box=box)


def test_faces_are_found_among_the_rows_of_a_set(published):
    left, right = (0.0, 0.4, 0.0, 1.0), (0.6, 1.0, 0.0, 1.0)
    fec = read_fec(*published(row("aab", boxes=[left, right, left]), row("cda")))
    rows = [
        known("a", (120.0, 5.0, 195.0, 95.0)),
        known("a", (2.0, 5.0, 75.0, 95.0)),
        known("b", (150.0, 0.0, 199.0, 99.0)),  # somebody else in the same picture
        known("c", None),  # taken as a crop
        known("z", (0.0, 0.0, 1.0, 1.0)),
    ]
    # The last face is the whole of picture a, which neither row shows by more than 0.34 of it.
    vectors = fec.vectors(np.arange(10, dtype=np.float32).reshape(5, 2), rows)
    assert vectors.dtype == np.float32
    assert vectors[:4].tolist()[:2] == [[2, 3], [0, 1]]
    assert np.isnan(vectors[[2, 4]]).all()
    assert vectors[3].tolist() == [6, 7]


def test_bad_input(published, tmp_path):
    table, folder = published(row("abc"))
    with pytest.raises(MissingPathError, match="as Google publishes it"):
        read_fec(tmp_path / "no.csv", folder)
    with pytest.raises(MissingPathError, match="downloaded pictures"):
        read_fec(table, tmp_path / "no")
    other = tmp_path / "other.csv"
    other.write_text("path,label\na.jpg,happiness\n")
    with pytest.raises(InputError, match="2 rows are not as Google publishes them"):
        read_fec(other, folder)
    other.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="no CSV in UTF-8"):
        read_fec(other, folder)
