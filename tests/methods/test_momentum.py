import torch
from torch import nn

from ferkit.methods.momentum import MomentumEncoder


def test_it_takes_its_own_statistics():
    """Weights and momentum are those of lightly, see test_byol.py."""
    torch.manual_seed(0)
    first, second = nn.Linear(3, 4), nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2))
    encoder = MomentumEncoder(first, second)
    encoder(torch.randn(5, 3))
    followed = encoder[1][0].running_mean.clone()
    encoder.follow(first, second, momentum=0.0)
    torch.testing.assert_close(encoder[1][0].running_mean, followed, atol=0, rtol=0)
    assert followed.abs().max() > 0
