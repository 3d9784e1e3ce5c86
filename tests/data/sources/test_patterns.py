from pathlib import Path

import pytest
from PIL import Image

from ferkit.data.sources import open_sources
from ferkit.errors import InputError, MissingPathError


@pytest.fixture
def folder(tmp_path):
    for name in ("10.png", "2.png", "a/1.png", "a/b/3.png", "[x].png", ".hidden.png", "a/2.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(tmp_path / name)
    return tmp_path


def names(root, pattern):
    return [str(Path(picture.source).relative_to(root)) for picture in open_sources([root / pattern]).pictures]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.png", ["2.png", "10.png", "[x].png"]),
        ("[0-9]*.png", ["2.png", "10.png"]),
        ("[x].png", ["[x].png"]),  # it exists, so it is no pattern
        ("**/*.png", ["2.png", "10.png", "[x].png", "a/1.png", "a/b/3.png"]),
        ("a/**", ["a/1.png", "a/2.jpg", "a/b/3.png"]),
        ("a*", ["a/1.png", "a/2.jpg", "a/b/3.png"]),
        ("{10,2}.png", ["10.png", "2.png"]),
        ("{01..03}.png", None),
        ("{a,a/b}/[13].png", ["a/1.png", "a/b/3.png"]),
    ],
)
def test_patterns(folder, pattern, found):
    if found is None:
        with pytest.raises(MissingPathError, match=r"01\.png"):
            names(folder, pattern)
    else:
        assert names(folder, pattern) == found


@pytest.mark.parametrize(
    ("pattern", "error", "message"),
    [
        ("*.webp", InputError, r"no file matches '.*\*\.webp'"),
        ("{1.png", InputError, "braces of .* do not match"),
        ("{1}.png", MissingPathError, r"\{1\}\.png"),
    ],
)
def test_patterns_that_mean_nothing(folder, pattern, error, message):
    with pytest.raises(error, match=message):
        names(folder, pattern)


def test_a_web_address_says_what_to_do():
    with pytest.raises(MissingPathError, match="download it and name the file"):
        open_sources([Path("https://example.org/x.png")])
