import pytest
import torch
from torch import nn

from ferkit.methods.momentum import MomentumEncoder, rising_momentum


def networks():
    torch.manual_seed(0)
    return nn.Linear(3, 4), nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2))


@pytest.mark.parametrize("momentum", [0.0, 0.9, 1.0])
def test_it_follows_every_weight_by_the_momentum(momentum):
    first, second = networks()
    encoder = MomentumEncoder(first, second)
    before = [weight.clone() for weight in encoder.parameters()]
    with torch.no_grad():
        for weight in [*first.parameters(), *second.parameters()]:
            weight.add_(1.0)
    encoder.follow(first, second, momentum=momentum)
    torch.testing.assert_close(list(encoder.parameters()), [weight + 1 - momentum for weight in before])


def test_it_takes_its_own_statistics():
    first, second = networks()
    encoder = MomentumEncoder(first, second)
    encoder(torch.randn(5, 3))
    followed = encoder[1][0].running_mean.clone()
    encoder.follow(first, second, momentum=0.0)
    torch.testing.assert_close(encoder[1][0].running_mean, followed, atol=0, rtol=0)
    assert followed.abs().max() > 0


@pytest.mark.parametrize(("done", "expected"), [(0, 0.9), (1 / 3, 0.925), (0.5, 0.95), (1, 1.0)])
def test_momentum_rises_to_one_by_a_cosine(done, expected):
    assert rising_momentum(0.9, done) == pytest.approx(expected)
