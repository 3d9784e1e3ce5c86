import pytest
import torch
from lightly.loss import NTXentLoss
from torch import nn

from ferkit.methods.simclr import SimClr, SimClrSettings
from ferkit.methods.views import Views


class Flat(nn.Sequential):
    def __init__(self):
        super().__init__(nn.AdaptiveAvgPool2d(2), nn.Flatten())


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_loss_and_gradient_equal_lightlys(temperature):
    torch.manual_seed(0)
    method = SimClr(Flat(), 12, SimClrSettings(temperature=temperature, projection=6))
    a, b = torch.randn(2, 8, 3, 16, 16)
    expected = NTXentLoss(temperature)(*method.projector(method.backbone(torch.cat([a, b]))).chunk(2))
    loss = method(Views(a, b, a.new_empty(0, *a.shape)))["loss"]
    torch.testing.assert_close(loss, expected)
    weights = list(method.parameters())
    torch.testing.assert_close(torch.autograd.grad(loss, weights), torch.autograd.grad(expected, weights))


def test_head_is_the_papers():
    head = SimClr(Flat(), 12, SimClrSettings()).projector
    assert [type(layer).__name__ for layer in head] == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert [tuple(head[place].weight.shape) for place in (0, 3)] == [(12, 12), (128, 12)]
