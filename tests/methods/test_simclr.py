import pytest
import torch
from lightly.loss import NTXentLoss

from ferkit.methods.simclr import SimClr, SimClrSettings
from samples import Means, two_views


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_loss_and_gradient_equal_lightlys(temperature):
    torch.manual_seed(0)
    method, views = SimClr(Means(side=2), 12, SimClrSettings(temperature=temperature, projection=6)), two_views(8)
    expected = NTXentLoss(temperature)(*method.projector(method.backbone(torch.cat([views.a, views.b]))).chunk(2))
    loss = method(views)["loss"]
    torch.testing.assert_close(loss, expected)
    weights = list(method.parameters())
    torch.testing.assert_close(torch.autograd.grad(loss, weights), torch.autograd.grad(expected, weights))


def test_head_is_the_papers():
    head = SimClr(Means(side=2), 12, SimClrSettings()).projector
    assert [type(layer).__name__ for layer in head] == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert [tuple(head[place].weight.shape) for place in (0, 3)] == [(12, 12), (128, 12)]
