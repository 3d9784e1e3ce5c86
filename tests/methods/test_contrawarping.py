import pytest
import torch
from pydantic import ValidationError
from torch import nn

from ferkit.faces.template import TEMPLATE
from ferkit.methods.byol import Byol, ByolSettings
from ferkit.methods.contrawarping import WEAK_VIEWS, ContraWarping, ContraWarpingSettings
from ferkit.methods.parts.strategy import near_frames
from ferkit.methods.views import ViewSettings
from ferkit.ops.losses import nt_xent_loss, regression_loss
from ferkit.ops.masked_contrast import false_negatives, masked_nt_xent_losses
from ferkit.ops.warp_losses import (
    own_warps_info_nce_loss,
    own_warps_nt_xent_loss,
    warp_gap,
    warp_hinge_loss,
    warp_repel_loss,
)
from samples import seeded, smooth_crops

VIEWS = ViewSettings(**WEAK_VIEWS, size=24)


class Tiny(nn.Sequential):
    """(B, 3, 24, 24) -> (B, 8), with batch norm."""

    def __init__(self):
        super().__init__(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(108, 8), nn.BatchNorm1d(8), nn.Tanh())


def batch(count=8):
    return {"crops": smooth_crops(count), "landmarks": torch.tensor(TEMPLATE).expand(count, -1, -1)}


def batch_of_clips(count=4):
    clip = torch.arange(count) // 2
    names = ("positive", "hard_negative", "hard_positive")
    others = {name: smooth_crops(count, seed) for seed, name in enumerate(names, 1)}
    known = {"clip": clip, "hard_negative_clip": clip, "hard_negative_landmarks": batch(count)["landmarks"] + 2}
    return {**batch(count), **others, **known, **moments_of(clip)}


def moments_of(clip):
    """Anchors at 0 s of their clip, hard negatives at 4 s, positives 1 s later; clips 100 s apart."""
    seconds = {"moment": 0, "positive_moment": 1, "hard_negative_moment": 4, "hard_positive_moment": 5}
    return {name: (100 * clip + second) * 1_000_000 for name, second in seconds.items()}


def build(**settings):
    torch.manual_seed(0)
    return ContraWarping(Tiny(), 8, ContraWarpingSettings(**{"views": VIEWS, "hidden": 16} | settings)).eval()


def byol_parts(method, views):
    """Predictions and targets of both views, and the warps' targets."""
    online = [method.networks.predict(method.backbone(view)) for view in (views.a, views.b)]
    target = [method.networks.project(view) for view in (views.a, views.b)]
    return online, target, torch.stack([method.networks.project(view) for view in views.warped])


def simclr_parts(method, views):
    return [method.projector(method.backbone(view)) for view in (views.a, views.b, *views.warped)]


def test_no_weight_on_the_warps_is_byol():
    torch.manual_seed(0)
    plain = Byol(Tiny(), 8, ByolSettings(views=VIEWS, hidden=16)).eval()
    for more in ({"term": "hinge"}, {"term": "infonce"}, {"term": "repel"}, {"role": "positives"}):
        warped = build(weight=0.0, **more)
        warped.load_state_dict(plain.state_dict())
        views = warped.views(batch(), seeded())
        torch.testing.assert_close(warped(views)["loss"], plain(views)["loss"])


@pytest.mark.parametrize(
    ("settings", "term"),
    [
        ({"term": "hinge", "margin": 0.4}, lambda p, z, w: warp_hinge_loss(p, z, w, 0.4)),
        ({"term": "infonce", "temperature": 0.5}, lambda p, z, w: own_warps_info_nce_loss(p, z, w, 0.5)),
        ({"term": "repel", "threshold": 0.1}, lambda p, z, w: warp_repel_loss(p, w, 0.1)),
        (
            {"role": "positives"},
            lambda p, z, w: torch.stack([regression_loss(p, one) for one in w]).mean(),
        ),
    ],
)
def test_byol_adds_the_weighted_term_of_both_views(settings, term):
    method = build(negatives=3, weight=0.7, **settings)
    views = method.views(batch(), seeded())
    (online_a, online_b), (target_a, target_b), warped = byol_parts(method, views)
    attract = regression_loss(online_a, target_b) + regression_loss(online_b, target_a)
    beside = term(online_a, target_b, warped) + term(online_b, target_a, warped)
    torch.testing.assert_close(method(views)["loss"], attract + 0.7 * beside)


def test_simclr_takes_the_warps_of_the_batch_or_an_anchor_s_own():
    for pool, expected in (
        ("batch", lambda a, b, w: nt_xent_loss(a, b, 0.5, w.flatten(0, 1))),
        ("own", lambda a, b, w: own_warps_nt_xent_loss(a, b, w, 0.5)),
    ):
        method = build(base="simclr", pool=pool, negatives=2, temperature=0.5)
        views = method.views(batch(), seeded())
        a, b, *warped = simclr_parts(method, views)
        torch.testing.assert_close(method(views)["loss"], expected(a, b, torch.stack(warped)))


def test_simclr_with_warps_as_positives_is_the_mean_over_all_pairs():
    method = build(base="simclr", role="positives", temperature=0.5)
    views = method.views(batch(), seeded())
    a, b, warped = simclr_parts(method, views)
    pairs = [nt_xent_loss(one, other, 0.5) for one, other in ((a, b), (a, warped), (b, warped))]
    torch.testing.assert_close(method(views)["loss"], torch.stack(pairs).mean())


def test_warps_and_parts_share_one_denominator():
    """Local warps of all anchors, hard negatives among them, are negatives beside the frames of clips."""
    method = build(parts="time-aug,hard-neg,face-swap,mask-fn", temperature=0.3, negatives=2)
    assert method.settings.base == "simclr"
    views = method.views(batch_of_clips(), seeded())
    assert views.a.shape[0] == views.b.shape[0] == views.warped.shape[1] == 8
    a, b, *warped = simclr_parts(method, views)
    group = views.context.clip.repeat(2)
    chosen = false_negatives(
        torch.cat(views.context.features.unbind(1)), group, torch.cat(views.context.legible.unbind(1))
    )
    assert (group[chosen] != group).all()
    first, second = masked_nt_xent_losses(a, b, chosen, 0.3, torch.cat(warped), near_frames(views.moments, 2_880_000))
    found = method(views)
    torch.testing.assert_close(found["loss"], first + 0.8 * second)
    torch.testing.assert_close(found["gap"], warp_gap(a, b, torch.stack(warped)))


def test_warps_are_of_the_anchors_and_follow_their_landmarks():
    """Both views and the warps are alike where nothing is drawn: positives of another frame, warps of strength 0."""
    still = {"size": 32, "scale": (1, 1), "aspect": (1, 1), "rotation": 0, "flip": 0, "jitter": 0, "gray": 0, "blur": 0}
    settings = {"views": still, "parts": "time-aug,hard-neg", "warps": {"strength": (0, 0)}}
    views = build(**settings).views(batch_of_clips(), seeded())
    torch.testing.assert_close(views.warped[0], views.a)
    assert (views.b - views.a).abs().amax((1, 2, 3)).min() > 0.5
    bent = build(**settings | {"warps": {"spread": 0, "symmetric": 0}})
    moved = {**batch_of_clips(), "hard_negative_landmarks": batch_of_clips()["hard_negative_landmarks"] + 9}
    views, others = (bent.views(faces, seeded()).warped[0] for faces in (batch_of_clips(), moved))
    torch.testing.assert_close(views[:4], others[:4])
    assert (views[4:] - others[4:]).abs().amax((1, 2, 3)).min() > 0.1


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"base": "byol", "parts": "time-aug,hard-neg,mask-fn"}, "hard-neg and mask-fn.*base=simclr"),
        ({"pool": "own", "parts": "mask-fn"}, "mask-fn needs .*pool=batch"),
        ({"role": "positives", "parts": "cutmix"}, "cutmix needs role=negatives"),
    ],
)
def test_parts_that_do_not_go_with_the_other_settings(settings, says):
    with pytest.raises(ValidationError, match=says):
        ContraWarpingSettings(**settings)


@pytest.mark.parametrize(
    ("gaps", "settings", "says"),
    [
        ([-0.008, 0.002], {}, "--set base=simclr --set negatives=3"),
        ([0.0], {"base": "simclr", "negatives": 3, "warps": {"radius": (0.4, 0.6)}}, "--epochs N"),
        ([0.0, 0.09], {}, None),
        ([0.0], {"role": "positives"}, None),
    ],
)
def test_a_gap_that_stays_at_zero_is_told(gaps, settings, says):
    method = ContraWarping(Tiny(), 8, ContraWarpingSettings(views=VIEWS, hidden=8, **settings))
    advice = method.advice([{"loss": 1.0, "gap": gap} for gap in gaps])
    assert advice is None if says is None else says in advice
