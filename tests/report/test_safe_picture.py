import numpy as np
import pytest
from PIL import Image

from ferkit.errors import OutputError
from ferkit.report.safe_picture import require_replaceable, save_picture

PICTURE = Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3))


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.gif"])
def test_what_was_drawn_is_replaced_and_a_photo_is_not(tmp_path, name):
    path = tmp_path / name
    require_replaceable(path)
    save_picture(PICTURE, path)
    drawn = path.read_bytes()
    require_replaceable(path)
    save_picture(PICTURE, path)
    assert path.read_bytes() == drawn
    with Image.open(path) as shown:
        assert shown.size == PICTURE.size
    PICTURE.save(path)
    with pytest.raises(OutputError, match="not drawn by ferkit"):
        require_replaceable(path)


def test_what_a_picture_is_made_of_is_not_replaced_though_ferkit_drew_it(tmp_path):
    save_picture(PICTURE, tmp_path / "a.png")
    (tmp_path / "link.png").symlink_to("a.png")
    with pytest.raises(OutputError, match="made of"):
        require_replaceable(tmp_path / "link.png", [tmp_path / "missing.png", tmp_path / "a.png"])
