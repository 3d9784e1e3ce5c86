import math

import pytest
import torch
from torch import nn

from ferkit.methods.vcl import Vcl, VclSettings
from ferkit.ops.losses import normal_divergence, nt_xent_loss, power_divergence
from samples import Means, two_views, vectors


def build(**settings):
    torch.manual_seed(0)
    return Vcl(Means(side=2), 12, VclSettings(projection=4, views={"size": 16}, **settings))


def test_power_divergence_by_hand():
    """Shares 1/2, 1/4, 1/4 and beta 1: sum of squares 3/8, twice the true share off, 1 on."""
    logits = torch.tensor([[0.5, 0.25, 0.25]]).log()
    assert power_divergence(logits, torch.tensor([0]), 1.0).item() == pytest.approx(3 / 8 - 1 + 1)
    assert power_divergence(logits, torch.tensor([1]), 1.0).item() == pytest.approx(3 / 8 - 1 / 2 + 1)
    assert power_divergence(logits, torch.tensor([1]), 0.0).item() == pytest.approx(math.log(4))


def test_what_contradicts_all_else_costs_a_bounded_amount_and_pulls_less():
    wrong = torch.tensor([[0.0, 60.0]], requires_grad=True)
    loss = power_divergence(wrong, torch.tensor([0]), 0.5)
    loss.backward()
    assert loss.item() == pytest.approx(1 + 1 / 0.5)
    assert wrong.grad.abs().max() < 1e-6
    assert power_divergence(wrong, torch.tensor([0]), 0.0).item() == pytest.approx(60)


def test_normal_divergence_by_hand_and_by_torch():
    """Mean 1, variance 1: 1/2. Mean 0, variance 4: (4 - 1 - log 4) / 2."""
    assert normal_divergence(torch.ones(1, 1), torch.zeros(1, 1)).item() == pytest.approx(0.5)
    variance = torch.full((2, 3), 4.0)
    assert normal_divergence(torch.zeros(2, 3), variance.log()).item() == pytest.approx((3 - math.log(4)) / 2)
    mean, log_variance = vectors(2, 7, 3)
    normal = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).mean()
    torch.testing.assert_close(normal_divergence(mean, log_variance), expected)


def test_without_noise_and_beta_it_is_nt_xent_of_the_means():
    method = build(noise=0, beta=0, divergence=0.5)
    shown = two_views(5)
    mean, log_variance = method.head(method.backbone(torch.cat([shown.a, shown.b]))).chunk(2, dim=1)
    figures = method(shown)
    contrast, divergence = nt_xent_loss(*mean.chunk(2), 0.2), normal_divergence(mean, log_variance)
    torch.testing.assert_close(figures["contrast"], contrast)
    torch.testing.assert_close(figures["loss"], contrast + 0.5 * divergence)


def test_samples_have_the_heads_deviation_in_training_alone():
    """A head that says mean (1, 0, 0, 0) and variance e^-2 for every face: cosines of samples fall below 1."""
    method = build(beta=0, divergence=0, temperature=1.0)
    last = method.head[-1]
    nn.init.zeros_(last.weight)
    with torch.no_grad():
        last.bias.copy_(torch.tensor([1.0, 0, 0, 0, -2, -2, -2, -2]))
    losses = []
    for _ in range(2):
        torch.manual_seed(0)  # from the generator that the loop seeds
        losses.append(method(two_views(5))["loss"].item())
    noisy = losses[0]
    assert noisy == losses[1]
    assert method.eval()(two_views(5))["loss"].item() == pytest.approx(math.log(9))  # all samples alike
    assert noisy != pytest.approx(math.log(9), abs=1e-4)
