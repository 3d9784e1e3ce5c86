import numpy as np
import torch
from matplotlib.quiver import Quiver

from ferkit.ops.warps import SIDE, Warp
from ferkit.report.warp_sheet import Row, draw_sheet

FACE = np.full((128, 128, 3), 128, np.uint8)


def test_rows_of_pictures_with_their_titles():
    figure = draw_sheet([Row("one", [FACE] * 3), Row("two", [FACE] * 3)])
    assert [part.get_suptitle() for part in figure.subfigs] == ["one", "two"]
    assert [len(part.axes) for part in figure.subfigs] == [3, 3]


def test_a_long_title_stays_above_its_pictures_which_are_all_as_large():
    figure = draw_sheet([Row("face swap: a row keeps the expression, " * 3, [FACE] * 2), Row("", [FACE] * 2)])
    figure.draw_without_rendering()
    title = figure.subfigs[0].texts[0].get_window_extent()
    assert title.x0 > 0
    assert title.x1 < figure.bbox.width
    heights = [axes.get_window_extent().height for axes in figure.axes]
    assert max(heights) < 1.1 * min(heights)
    first, second = (part.axes[0].get_window_extent() for part in figure.subfigs)
    assert title.y0 > first.y1
    assert first.y0 - second.y1 < 0.2 * first.height


def test_arrows_lead_from_where_the_skin_comes_to_where_it_is_seen():
    displacement = torch.zeros(2, 2, SIDE, SIDE)
    displacement[1, 0] = 0.25  # 16 of 128 px to the right, all over
    figure = draw_sheet([Row("warps", [FACE] * 2, Warp(displacement))])
    still, moved = (next(item for item in axes.get_children() if isinstance(item, Quiver)) for axes in figure.axes)
    assert len(still.U) == 0
    np.testing.assert_allclose(moved.U, 16, atol=1e-3)
    np.testing.assert_allclose(moved.V, 0, atol=1e-3)
    assert moved.X.min() < 0  # what is seen at the left border came from beyond it
    assert figure.axes[1].get_xlim() == (-0.5, 127.5)
