from itertools import pairwise

import numpy as np
import pytest
from PIL import Image, ImageSequence

import ferkit.workflows.warp_preview as module
from ferkit.errors import InputError, OutputError
from ferkit.methods.warps import KINDS, WarpSettings
from ferkit.report.warp_sheet import draw_sheet
from ferkit.workflows.warp_preview import warp_preview


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def frames(path):
    """The pictures of an animation, and how often it repeats."""
    with Image.open(path) as animation:
        shown = [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(animation)]
        return shown, animation.info["loop"]


@pytest.fixture
def crop(tmp_path, portraits):
    """A face crop, so that no detector is loaded."""
    path = tmp_path / "crop.png"
    Image.open(portraits["hopper"]).crop((120, 60, 400, 340)).resize((128, 128)).save(path)
    return path


def test_sheet_of_a_photo_holds_every_kind(portraits, tmp_path):
    result = warp_preview(portraits["hopper"], tmp_path / "warp.png", columns=3)
    assert (result.positives, result.warps, result.faces) == (2, 5 * 3, 1)
    picture = pixels(tmp_path / "warp.png")
    assert picture.shape[0] > 7 * 150  # the face and positives; bumps, splines, fields; negatives
    assert picture.std() > 30


@pytest.mark.parametrize("strength", [0.0, 0.6])
def test_rows_of_warps_bend_the_face_and_change_nothing_else(crop, tmp_path, monkeypatch, strength):
    shown = []
    monkeypatch.setattr(module, "draw_sheet", lambda rows: shown.extend(rows) or draw_sheet(rows[:1]))
    warps = WarpSettings(strength=(strength, strength))
    warp_preview(crop, tmp_path / "warp.png", columns=2, warps=warps, aligned=True)
    first, *bent, negatives = shown
    assert len(bent) == 5
    assert (first.warp, negatives.warp) == (None, None)
    for row in bent:
        moved = row.warp.displacement.abs().amax((1, 2, 3)) > 1e-6
        for picture, by in zip(row.pictures, moved.tolist(), strict=True):
            assert by is (strength > 0)
            assert bool((np.abs(picture.astype(int) - pixels(crop)) > 1).any()) is by


def test_animation_grows_and_comes_back(crop, tmp_path):
    result = warp_preview(crop, tmp_path / "warp.gif", columns=3, aligned=True)
    assert (result.positives, result.warps) == (0, len(KINDS) * 3)
    shown, repeats = frames(tmp_path / "warp.gif")
    assert shown[0].shape == (len(KINDS) * 128, 3 * 128, 3)
    assert repeats == 0  # without end
    away = [np.abs(frame - shown[0]).mean() for frame in shown]
    middle = len(shown) // 2
    assert all(one < other for one, other in pairwise(away[: middle + 1]))
    np.testing.assert_allclose(away[1:middle], away[:middle:-1], atol=0.3)
    # At first every tile is the face itself, up to the palette.
    face = pixels(crop)
    assert all(np.abs(shown[0][:128, start : start + 128] - face).mean() < 8 for start in (0, 128, 256))


def test_too_few_columns(crop, tmp_path):
    with pytest.raises(InputError, match="at least 2 columns"):
        warp_preview(crop, tmp_path / "warp.png", columns=1)


@pytest.mark.parametrize("face_swap", [True, False])
def test_the_picture_itself_is_not_replaced(crop, face_swap):
    before = crop.read_bytes()
    with pytest.raises(OutputError, match="choose another output"):
        warp_preview(crop, crop, face_swap=face_swap, aligned=True)
    assert crop.read_bytes() == before
