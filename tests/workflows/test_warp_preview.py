import numpy as np
import pytest
from PIL import Image

from ferkit.errors import InputError, MissingPathError, OutputError
from ferkit.methods.views import ViewSettings, WarpSettings
from ferkit.workflows.warp_preview import warp_preview


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def test_preview_of_a_photo(portraits, tmp_path):
    result = warp_preview(portraits["hopper"], tmp_path / "warp.png", columns=4)
    assert (result.positives, result.warps, result.faces) == (3, 4, 1)
    picture = pixels(tmp_path / "warp.png")
    assert picture.shape[1] > 4 * 100
    assert picture.std() > 30


def test_preview_is_seeded(portraits, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        warp_preview(portraits["astronaut"], tmp_path / f"{name}.png", columns=3, seed=seed)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").read_bytes() != (tmp_path / "c.png").read_bytes()


def test_warps_without_strength_leave_the_face_as_it_is(portraits, tmp_path):
    """The middle row repeats the first face when nothing is dragged, and does not when it is."""
    plain = ViewSettings(jitter=0, gray=0, blur=0)
    for name, strength in (("still", (0.0, 0.0)), ("moved", (0.6, 0.6))):
        warp_preview(
            portraits["hopper"], tmp_path / f"{name}.png", columns=3, views=plain, warps=WarpSettings(strength=strength)
        )
    still, moved = pixels(tmp_path / "still.png"), pixels(tmp_path / "moved.png")
    third = len(still) // 3
    top, middle = still[: third - 8], still[third : 2 * third]
    assert np.abs(top[:, 40:150].mean((0, 2)) - middle[: third - 8, 40:150].mean((0, 2))).mean() < 6
    assert np.abs(still[third : 2 * third] - moved[third : 2 * third]).mean() > 1
    assert np.abs(top - moved[: third - 8]).max() == 0


@pytest.mark.parametrize("columns", [0, 1])
def test_too_few_columns(portraits, tmp_path, columns):
    with pytest.raises(InputError, match="at least 2 columns"):
        warp_preview(portraits["hopper"], tmp_path / "warp.png", columns=columns)


def test_picture_without_a_face(tmp_path):
    Image.new("RGB", (300, 200)).save(tmp_path / "black.png")
    with pytest.raises(InputError, match="no face"):
        warp_preview(tmp_path / "black.png", tmp_path / "warp.png", aligned=False)
    assert not (tmp_path / "warp.png").exists()


def test_missing_picture(tmp_path):
    with pytest.raises(MissingPathError):
        warp_preview(tmp_path / "nobody.jpg", tmp_path / "warp.png")


def test_place_that_cannot_be_written(portraits, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        warp_preview(portraits["hopper"], tmp_path / "file" / "warp.png")
