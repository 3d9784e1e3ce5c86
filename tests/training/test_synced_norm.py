import copy

import pytest
import timm.layers
import torch
from torch import nn

from ferkit.training.synced_norm import SyncedBatchNorm, sync_batch_norms


def both(network):
    """The network with torch's batch norms and with ours, which must agree where there is one process."""
    return network, sync_batch_norms(copy.deepcopy(network), torch.device("cpu"))


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (nn.BatchNorm1d(6), (5, 6)),
        (nn.BatchNorm2d(6), (4, 6, 3, 2)),
        (nn.BatchNorm2d(6, affine=False), (4, 6, 3, 2)),
        (nn.BatchNorm1d(6, momentum=None), (5, 6)),
        (nn.BatchNorm1d(6, track_running_stats=False), (5, 6)),
        (timm.layers.BatchNormAct2d(6), (4, 6, 3, 2)),
    ],
)
def test_one_process_has_plain_batch_norm(norm, shape):
    torch.manual_seed(0)
    plain, synced = both(nn.Sequential(norm))
    assert isinstance(synced[0], SyncedBatchNorm)
    for _ in range(3):
        x = 100 + 3 * torch.randn(shape)
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        out_a, out_b = plain(a), synced(b)
        torch.testing.assert_close(out_b, out_a, rtol=1e-4, atol=1e-4)
        out_a.square().mul(torch.arange(1, 7).view(1, -1, *[1] * (len(shape) - 2))).sum().backward()
        out_b.square().mul(torch.arange(1, 7).view(1, -1, *[1] * (len(shape) - 2))).sum().backward()
        torch.testing.assert_close(b.grad, a.grad, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(synced.state_dict(), plain.state_dict(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(synced.eval()(x), plain.eval()(x))


def test_half_precision_stays_half():
    _, synced = both(nn.Sequential(nn.BatchNorm2d(2)))
    assert synced(torch.randn(3, 2, 4, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16
