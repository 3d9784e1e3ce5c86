import pytest

from ferkit.data.sources import Picture, SourceRules
from ferkit.errors import InputError, UnknownColumnError


@pytest.mark.parametrize(
    ("expression", "label"),
    [
        (r"(\d+)/(?P<label>\w+)_", "joy"),  # the group of that name before the first
        (r"(\d+)/\w+", "12"),
        (r"[a-z]+_\d", "joy_3"),
        (r"^joy", None),
        (r"(x)?_3", None),  # a group that took no part
        (r"_(x*)3", None),  # nothing is no label
    ],
)
def test_what_an_expression_takes_from_a_path(expression, label):
    assert SourceRules(label_from=expression).apply(Picture("x", "own", "who"), "a/12/joy_3.png") == Picture(
        "x", label, "who"
    )
    assert SourceRules(identity_from=expression.replace("label", "identity")).apply(
        Picture("x", "own", "who"), "a/12/joy_3.png"
    ) == Picture("x", "own", label)


def test_without_rules_a_picture_stays_the_same():
    picture = Picture("x", "own", "who")
    assert SourceRules().apply(picture, "a/b.png") is picture


@pytest.mark.parametrize("name", ["label_from", "identity_from"])
def test_an_expression_that_does_not_compile(name):
    with pytest.raises(InputError, match=r"'\(a', which is no regular expression \(missing \)"):
        SourceRules(**{name: "(a"})


def test_a_column_that_nothing_is_read_from():
    with pytest.raises(UnknownColumnError, match=r"'lable'; did you mean: label"):
        SourceRules(columns={"lable": "emotion"})


@pytest.mark.parametrize("fps", [0, -1, float("nan"), float("inf")])
def test_frames_per_second_that_are_none(fps):
    with pytest.raises(InputError, match=f"above 0, not {fps}"):
        SourceRules(fps=fps)
