import pytest
from rich.text import Text

from ferkit.cli.words import counted, typed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((1, "face"), "1 face"),
        ((0, "face"), "0 faces"),
        ((1234, "face"), "1,234 faces"),
        ((1, "person", "people"), "1 person"),
        ((2, "person", "people"), "2 people"),
    ],
)
def test_one_is_singular(words, said):
    assert counted(*words) == said


def test_paths_are_as_a_shell_takes_them_and_rich_prints_them():
    assert Text.from_markup(typed("runs/a [x] b")).plain == "'runs/a [x] b'"
    assert typed("faces") == "faces"
