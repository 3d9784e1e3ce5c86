import pytest
import torch
from torch import Tensor


def orientation(grid: Tensor) -> Tensor:
    """(B, h, w, 2) coordinates -> (B, h - 1, w - 1) determinants of forward differences, 1 for an identity grid."""
    across = (grid[:, :-1, 1:] - grid[:, :-1, :-1]) * (grid.shape[2] / 2)
    down = (grid[:, 1:, :-1] - grid[:, :-1, :-1]) * (grid.shape[1] / 2)
    return across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]


@pytest.fixture(scope="session")
def jacobian_determinant():
    line = (torch.arange(16) * 2 + 1) / 16 - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    torch.testing.assert_close(orientation(torch.stack([x, y], -1)[None]), torch.ones(1, 15, 15))
    return orientation
