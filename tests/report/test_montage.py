import numpy as np
import pytest

from ferkit.report.montage import Tile, draw_montage


def face(value):
    return np.full((128, 128, 3), value, np.uint8)


def count(picture, colour):
    return int((np.asarray(picture) == colour).all(axis=2).sum())


def test_faces_are_drawn_at_their_size_and_ranks_run_left_to_right_and_then_down():
    hits = [Tile(face((10, 200, 30 + rank)), f"0.{rank}", f"{rank}.jpg") for rank in range(6)]
    picture = draw_montage(Tile(face((250, 0, 250)), "query", "q.jpg"), hits)
    assert count(picture, (250, 0, 250)) == 420 * 420
    assert [count(picture, (10, 200, 30 + rank)) for rank in range(6)] == [198 * 198] * 6  # 200 px with an edge of one
    pixels = np.asarray(picture)
    places = [np.argwhere((pixels == (10, 200, 30 + rank)).all(axis=2)).min(axis=0) for rank in range(6)]
    tops, lefts = zip(*places, strict=True)
    assert len(set(tops[:5])) == 1
    assert tops[5] > tops[0]
    assert list(lefts[:5]) == sorted(set(lefts[:5]))
    assert lefts[5] == lefts[0]


@pytest.mark.parametrize("hits", [[], [Tile("picture not found", "0.5", "gone.jpg")]])
def test_nothing_found_and_pictures_gone_are_drawn_too(hits):
    picture = draw_montage(Tile(face((250, 0, 250)), "query", "q.jpg"), hits, "footer")
    assert count(picture, (250, 0, 250)) == 420 * 420
