import numpy as np
import torch
from matplotlib.quiver import Quiver

from ferkit.ops.warps import SIDE, Warp
from ferkit.report.warp_sheet import PictureRow, draw_sheet

FACE = np.full((128, 128, 3), 128, np.uint8)


def test_arrows_lead_from_where_the_skin_comes_to_where_it_is_seen():
    displacement = torch.zeros(2, 2, SIDE, SIDE)
    displacement[1, 0] = 0.25  # 16 of 128 px to the right, all over
    figure = draw_sheet([PictureRow("warps", [FACE] * 2, Warp(displacement))])
    still, moved = (next(item for item in axes.get_children() if isinstance(item, Quiver)) for axes in figure.axes)
    assert len(still.U) == 0
    np.testing.assert_allclose(moved.U, 16, atol=1e-3)
    np.testing.assert_allclose(moved.V, 0, atol=1e-3)
    assert moved.X.min() < 0  # what is seen at the left border came from beyond it
    assert figure.axes[1].get_xlim() == (-0.5, 127.5)
