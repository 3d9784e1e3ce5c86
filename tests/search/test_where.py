import numpy as np
import pyarrow as pa
import pytest

from ferkit.errors import InputError
from ferkit.search.where import rows_where


class Faces:
    """Five faces."""

    table = pa.table(
        {
            "source": ["/trip/a.jpg", "/trip/b_1.jpg", "/home/c.jpg", "/home/it's.jpg", "/TRIP/e.jpg"],
            "label": ["happiness", "sadness", None, "happiness", "anger"],
            "yaw": [5.0, -40.0, 20.0, None, 19.5],
            "face": pa.array([1, 2, 1, 1, 3], pa.int32()),
            "kind": pa.array(["x", "y", "x", None, "y"]).dictionary_encode(),
            "box": [[0.0], None, None, None, None],
        }
    )
    column_names = table.column_names
    asked = ()

    def columns(self, names):
        self.asked = names
        return self.table.select(names)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("label = 'happiness'", [0, 3]),
        ("label = 'happiness' and yaw < 20 and source like '%trip%'", [0]),
        ("label <> 'happiness'", [1, 4]),
        ("not label = 'happiness'", [1, 4]),  # null is not known to be another
        ("label = 'happiness' or yaw >= 20", [0, 2, 3]),
        ("label = 'anger' OR label = 'sadness' AND yaw < -50", [4]),
        ("(label = 'anger' or label = 'sadness') and yaw < -30", [1]),
        ("abs(yaw) < 20", [0, 4]),
        ("-yaw > 30", [1]),
        ("yaw between -40 and 5", [0, 1]),
        ("yaw is null", [3]),
        ("box is null", [1, 2, 3, 4]),
        ("label in ('anger', 'sadness')", [1, 4]),
        ("source like '/home/%'", [2, 3]),
        ("source not like '%trip%'", [2, 3, 4]),
        ("source ilike '%trip%'", [0, 1, 4]),
        ("source like '%b_1.jpg'", [1]),
        ("source = '/home/it''s.jpg'", [3]),
        ("kind = 'x'", [0, 2]),
        ("label < 'b'", [4]),
        ("face > yaw", [1]),
        ("yaw = 1 or " * 400 + "yaw = 20", [2]),
    ],
)
def test_a_condition_is_met_by_the_rows_that_sql_would_return(condition, expected):
    assert np.flatnonzero(rows_where(condition, Faces())).tolist() == expected


def test_only_the_columns_that_are_named_are_read():
    faces = Faces()
    rows_where("yaw < 20 and abs(yaw) > 3", faces)
    assert faces.asked == ["yaw"]


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ("labl = 'x'", "no column 'labl', did you mean label"),
        ('label = "happiness"', "no column 'happiness'"),
        ("label = ", "no condition"),
        ("", "no condition"),
        ("label = 'x'; drop table faces", "no condition"),
        ("label = 'x' union select 1", "no condition"),
        ("label in (select 1)", "none of the comparisons"),
        ("label = null", "neither a column"),
        ("label", "none of the comparisons"),
        ("true", "compares no column"),
        ("label = 'x' or 1 < 2", "both no column"),
        ("label < 3", "'label' and '3' are not both text"),
        ("yaw like '%2'", "not COLUMN like"),
        ("source like 'a' escape '!'", "none of the comparisons"),
        ("box = 3", "'box' holds neither"),
        ("faces.label = 'x'", "neither a column"),
        ("label = ?", "neither a column"),
        ("yaw + 1 < 3", "neither a column"),
        ("exp(yaw) < 3", "neither a column"),
        ("__import__('os').system('x') = 1", "(no condition|neither|no column)"),
        ("(" * 3000 + "yaw = 1" + ")" * 3000, "(nested|no condition)"),
        ("yaw = 1 or " * 2000 + "yaw = 2", "longer than"),
        ("label = 'a\x00", "no condition"),
    ],
)
def test_what_is_no_condition_on_the_columns_is_refused_in_a_sentence(condition, why):
    with pytest.raises(InputError, match=f"{why}.*compare the columns source, label, yaw, face, kind, box with"):
        rows_where(condition, Faces())
