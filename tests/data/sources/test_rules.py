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


@pytest.mark.parametrize(
    ("rule", "error", "what"),
    [
        ({"label_from": "(a"}, InputError, r"'\(a'"),
        ({"identity_from": "(a"}, InputError, r"'\(a'"),
        ({"columns": {"lable": "emotion"}}, UnknownColumnError, "'lable'.*label"),
        *(({"fps": fps}, InputError, str(fps)) for fps in (0, -1, float("nan"), float("inf"))),
    ],
)
def test_rules_that_mean_nothing(rule, error, what):
    with pytest.raises(error, match=what):
        SourceRules(**rule)
