import pytest

from ferkit.data.sources.layouts.table import Table
from ferkit.errors import InputError


def table(tmp_path, content, columns=("name", "label"), **options):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    return Table(path, columns, **options)


@pytest.mark.parametrize(
    "content", [b"name,label\na,1\nb,2\n", b"a,1\nb,2", b"\xef\xbb\xbfname, label\r\n\r\na,1\r\n b ,2\r\n\r\n"]
)
def test_rows(tmp_path, content):
    rows = table(tmp_path, content)
    assert [rows[row] for row in range(len(rows))] == [{"name": "a", "label": "1"}, {"name": "b", "label": "2"}]
    assert rows.place(1) == f"{tmp_path}/table.csv#1"


@pytest.mark.parametrize("line", [b"a", b"a,1,2", b"\xff,1", b"a," + b"x" * 200_000])
def test_damaged_rows(tmp_path, line):
    rows = table(tmp_path, b"a,1\n" + line + b"\nb,2\n")
    with pytest.raises(ValueError, match=r"fields|decode|field larger"):
        rows[1]
    assert rows[2] == {"name": "b", "label": "2"}
    with pytest.raises(InputError, match=r"row 1 of .*table\.csv' is damaged"):
        rows.rows()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_a_file_that_is_not_utf8(tmp_path, encoding):
    with pytest.raises(InputError, match=r"table\.csv' is no table in UTF-8"):
        table(tmp_path, "a,1\n".encode(encoding))
