import numpy as np
import pytest

from ferkit.report.gallery import GalleryFace, GalleryRow, Panel, draw_gallery

GREEN = (0x1A, 0x8A, 0x4C)


def tile(value, *, match=False):
    return GalleryFace(np.full((128, 128, 3), value, np.uint8), "", match=match)


def panel(matches):
    return Panel("", [GalleryRow(tile(10), [tile(20 + rank, match=match) for rank, match in enumerate(matches)])])


def count(picture, colour):
    return int((np.asarray(picture) == colour).all(axis=2).sum())


@pytest.mark.parametrize("matches", [[], [1], [0, 2]])
def test_every_face_is_shown_at_its_own_size_with_frames_around_the_matches_only(matches):
    picture = draw_gallery("", [panel([rank in matches for rank in range(3)])], "")
    assert [count(picture, (grey,) * 3) for grey in (10, 20, 21, 22)] == [128 * 128] * 4
    assert count(picture, GREEN) == len(matches) * (136 * 136 - 128 * 128)
