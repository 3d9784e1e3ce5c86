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
    weights = torch.arange(1, 7).view(1, -1, *[1] * (len(shape) - 2))
    for _ in range(3):
        x = 100 + 3 * torch.randn(shape)
        inputs = [x.clone().requires_grad_() for _ in range(2)]
        out = [network(given) for network, given in zip((plain, synced), inputs, strict=True)]
        torch.testing.assert_close(out[1], out[0], rtol=1e-4, atol=1e-4)
        for each in out:
            each.square().mul(weights).sum().backward()
        torch.testing.assert_close(inputs[1].grad, inputs[0].grad, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(synced.state_dict(), plain.state_dict(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(synced.eval()(x), plain.eval()(x))


def test_half_precision_stays_half():
    _, synced = both(nn.Sequential(nn.BatchNorm2d(2)))
    assert synced(torch.randn(3, 2, 4, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16
