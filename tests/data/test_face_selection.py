import pyarrow as pa
import pytest

from ferkit.data.face_selection import groups_of

ROWS = pa.table(
    {
        "source": ["/a.jpg", "/a.jpg", "/b.jpg", "/v.mp4#0", "/v.mp4#9", "/c.jpg"],
        "clip": [None, None, None, "v@0", "v@1", None],
        "identity": ["ann", None, "ann", None, None, "bob"],
    }
)


@pytest.mark.parametrize(
    ("by", "together", "lacking"),
    [
        ("identity", [{0, 2}, {1}, {3}, {4}, {5}], 3),
        ("clip", [{0, 1}, {2}, {3}, {4}, {5}], 4),
        ("source", [{0, 1}, {2}, {3, 4}, {5}], 0),
        ("none", [{0}, {1}, {2}, {3}, {4}, {5}], 0),
    ],
)
def test_what_stays_together(by, together, lacking):
    groups, count = groups_of(ROWS, by)
    found = [{row for row, group in enumerate(groups) if group == each} for each in set(groups.tolist())]
    assert sorted(map(sorted, found)) == sorted(map(sorted, together))
    assert count == lacking
