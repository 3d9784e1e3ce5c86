import pytest

from ferkit.printable import printable


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("lisa.jpg", "lisa.jpg"),
        ("élise 😀 אבג.jpg", "élise 😀 אבג.jpg"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("a\u2029b\x85c\u202ed", r"a\u2029b\x85c\u202ed"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), r"caf\udce9"),
    ],
)
def test_names_are_shown_on_one_line(name, shown):
    assert printable(name) == shown


def test_a_text_may_have_several_lines():
    assert printable("a\nb\x07", keep="\n") == "a\nb\\x07"
