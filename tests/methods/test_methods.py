import math

import pytest
import torch
from torch import nn

from ferkit.errors import UnknownMethodError
from ferkit.methods import METHODS, find_method
from ferkit.methods.base import mlp
from ferkit.methods.byol import Byol, ByolSettings
from ferkit.methods.contrawarping import ContraWarping, ContraWarpingSettings
from ferkit.methods.simclr import SimClr, SimClrSettings
from ferkit.methods.views import ViewSettings, WarpSettings
from ferkit.ops.losses import nt_xent_loss, regression_loss

VIEWS = ViewSettings(size=24)
CROPS = torch.randint(0, 256, (8, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


class Tiny(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 8, 5, stride=3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )


def settings_of(kind, **more):
    known = kind.settings_type.model_fields
    return kind.settings_type(views=VIEWS, **({"hidden": 16} if "hidden" in known else {}), **more)


VARIANTS = [
    pytest.param(Byol, {}, id="byol"),
    pytest.param(SimClr, {}, id="simclr"),
    pytest.param(ContraWarping, {"base": "byol"}, id="contrawarping-byol"),
    pytest.param(ContraWarping, {"base": "simclr", "negatives": 2}, id="contrawarping-simclr"),
]


def build(kind, **more):
    torch.manual_seed(0)
    return kind(Tiny(), 8, settings_of(kind, **more))


def seeded():
    return torch.Generator().manual_seed(1)


def test_every_method_is_tried_here():
    assert {variant.values[0] for variant in VARIANTS} == set(METHODS.values())


@pytest.mark.parametrize(("kind", "more"), VARIANTS)
def test_a_few_steps_on_one_batch_lower_the_loss_and_reach_the_backbone(kind, more):
    method = build(kind, **more)
    before = method.backbone[0].weight.clone()
    views = method.views(CROPS, seeded())
    optimizer = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr=3e-3)
    losses = []
    for step in range(30):
        loss = method(views)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.after_step((step + 1) / 30)
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert (method.backbone[0].weight - before).abs().max() > 1e-3


@pytest.mark.parametrize(("kind", "more"), VARIANTS)
def test_views_have_the_asked_size_and_are_seeded(kind, more):
    method = build(kind, **more)
    views, again = method.views(CROPS, seeded()), method.views(CROPS, seeded())
    assert views.a.shape == views.b.shape == (8, 3, 24, 24)
    assert views.warped.shape == (more.get("negatives", int(kind is ContraWarping)), 8, 3, 24, 24)
    torch.testing.assert_close(views.a, again.a, atol=0, rtol=0)
    assert (views.a - views.b).abs().mean() > 0.1


@pytest.mark.parametrize("kind", [Byol, ContraWarping])
def test_target_follows_by_the_momentum(kind):
    method = build(kind, momentum=0.9)
    target, online = method.networks.target[1][-1].weight, method.networks.projector[-1].weight
    before = target.clone()
    with torch.no_grad():
        online.add_(1.0)
    method.after_step(0.5)
    # Half-way the momentum is 1 - 0.1 * (cos(pi/2) + 1) / 2 = 0.95.
    torch.testing.assert_close(target, before + 0.05)
    assert not any(p.requires_grad for p in method.networks.target.parameters())


def test_target_stands_still_at_the_end():
    method = build(Byol)
    with torch.no_grad():
        method.networks.projector[-1].weight.add_(1.0)
    before = method.networks.target[1][-1].weight.clone()
    method.after_step(1.0)
    torch.testing.assert_close(method.networks.target[1][-1].weight, before)


def test_byol_without_hinge_is_byol():
    plain, warped = build(Byol), build(ContraWarping, weight=0.0)
    warped.load_state_dict(plain.state_dict())
    for module in (plain, warped):
        module.eval()  # the warped faces share the batch norms' statistics in training
    views = warped.views(CROPS, seeded())
    torch.testing.assert_close(warped(views)["loss"], plain(views)["loss"])


def test_simclr_is_nt_xent_of_its_projections():
    method = build(SimClr, temperature=0.5).eval()
    views = method.views(CROPS, seeded())
    a, b = (method.projector(method.backbone(v)) for v in (views.a, views.b))
    torch.testing.assert_close(method(views)["loss"], nt_xent_loss(a, b, 0.5))


def test_warps_join_the_negatives_of_simclr():
    method = build(ContraWarping, base="simclr", negatives=2, temperature=0.5).eval()
    views = method.views(CROPS, seeded())
    a, b, first, second = (method.projector(method.backbone(v)) for v in (views.a, views.b, *views.warped))
    torch.testing.assert_close(method(views)["loss"], nt_xent_loss(a, b, 0.5, torch.cat([first, second])))


def test_gap_is_zero_for_warps_without_strength():
    still = WarpSettings(strength=(0, 0))
    plain = ViewSettings(size=24, scale=(1, 1), aspect=(1, 1), rotation=0, flip=0, jitter=0, gray=0, blur=0)
    settings = ContraWarpingSettings(base="simclr", views=plain, warps=still)
    method = ContraWarping(Tiny(), 8, settings)
    assert method(method.views(CROPS, seeded()))["gap"].item() == pytest.approx(0, abs=1e-5)


def test_hinge_weight_scales_the_hinge():
    light, heavy = build(ContraWarping, weight=1.0).eval(), build(ContraWarping, weight=3.0).eval()
    views = light.views(CROPS, seeded())
    base = build(Byol).eval()
    base.load_state_dict(light.state_dict())
    plain = base(views)["loss"]
    torch.testing.assert_close(heavy(views)["loss"] - plain, 3 * (light(views)["loss"] - plain))
    assert light(views)["loss"] > plain


def test_regression_loss_is_symmetric_in_the_views():
    method = build(Byol).eval()
    views = method.views(CROPS, seeded())
    target_a, target_b = method.networks.project(views.a), method.networks.project(views.b)
    online_a, online_b = (method.networks.predict(method.backbone(v)) for v in (views.a, views.b))
    expected = regression_loss(online_a, target_b) + regression_loss(online_b, target_a)
    torch.testing.assert_close(method(views)["loss"], expected)


def test_mlp_has_norms_between_the_layers_only():
    kinds = [type(layer).__name__ for layer in mlp(4, 8, 8, 2)]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU", "Linear", "BatchNorm1d", "ReLU", "Linear"]


def test_unknown_method_names_the_nearest():
    with pytest.raises(UnknownMethodError, match="contrawarping"):
        find_method("contrawraping")


def test_paper_defaults():
    assert ContraWarpingSettings().base == "byol"
    assert (ByolSettings().hidden, ByolSettings().projection, ByolSettings().momentum) == (4096, 256, 0.99)
    assert SimClrSettings().projection == 128
    assert math.isclose(ContraWarpingSettings().margin, 0.3)
