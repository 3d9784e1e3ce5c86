import torch
import torch.nn.functional as F
from torch import nn

from ferkit.methods.ssl_fer import SslFer, SslFerSettings
from ferkit.methods.views import ViewMaker
from samples import seeded, smooth_crops

SECOND = 1_000_000


def batch():
    names, clip = ("crops", "positive", "hard_negative", "hard_positive"), torch.tensor([0, 0, 1, 2])
    known = {name: smooth_crops(4, seed) for seed, name in enumerate(names)}
    for place, name in enumerate(names):
        known[f"{name}_moment".removeprefix("crops_")] = SECOND * (20 * torch.arange(4) + 3 * place)
    return {**known, "clip": clip, "hard_negative_clip": clip}


def build(parts, **settings):
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(108, 8), nn.Tanh())
    return SslFer(backbone, 8, SslFerSettings(parts=parts, views={"size": 24}, **settings)).eval()


def nt_xent_by_rows(anchors, positives, temperature):
    """The authors' batch: every row of [anchors, positives] finds its partner among all others, one row at a time."""
    z = F.normalize(torch.cat([anchors, positives]), dim=1)
    losses = []
    for i in range(len(z)):
        others = [j for j in range(len(z)) if j != i]
        partner = (i + len(anchors)) % len(z)
        exponentials = {j: torch.exp(z[i] @ z[j] / temperature) for j in others}
        losses.append(-torch.log(exponentials[partner] / sum(exponentials.values())))
    return torch.stack(losses).mean()


def test_a_hard_negative_is_an_anchor_with_its_own_positive():
    method = build("time-aug,hard-neg", temperature=0.5)
    generator, make_view, faces = seeded(3), ViewMaker(method.settings.views), batch()
    make_anchor = ViewMaker(method.settings.views.model_copy(update={"jitter": 1.0}))
    anchors = make_anchor(torch.cat([faces["crops"], faces["hard_negative"]]), generator)
    positives = make_view(torch.cat([faces["positive"], faces["hard_positive"]]), generator)
    projected = [method.projector(method.backbone(views)) for views in (anchors, positives)]
    found = method(method.views(faces, seeded(3)))["loss"]
    torch.testing.assert_close(found, nt_xent_by_rows(*projected, 0.5))


def test_frames_of_a_clip_push_each_other_only_from_the_hard_negatives_distance_on():
    """Faces 0 and 1 are 2 s apart: they and their positives, 1 s later, do not meet in a denominator."""
    method = build("time-aug", temperature=0.5)
    seconds = torch.tensor([0, 2, 40, 43])
    faces = {**batch(), "moment": SECOND * seconds, "positive_moment": SECOND * (seconds + 1)}
    views = method.views(faces, seeded(3))
    z = F.normalize(method.projector(method.backbone(torch.cat([views.a, views.b]))), dim=1)
    near = {(i, j) for i in (0, 1, 4, 5) for j in (0, 1, 4, 5)} | {(6, 3), (3, 6)}  # 41 s and 43 s
    near -= {(0, 5), (5, 0)}  # 0 s and 3 s
    losses = []
    for i in range(8):
        partner = (i + 4) % 8
        others = [j for j in range(8) if j != i and (j == partner or (i, j) not in near)]
        losses.append(torch.logsumexp(z[i] @ z[others].T / 0.5, 0) - z[i] @ z[partner] / 0.5)
    torch.testing.assert_close(method(views)["loss"], torch.stack(losses).mean())


def test_only_positives_may_keep_their_colours():
    """With nothing but jitter, and that as good as never: anchors of one colour have others, positives none."""
    still = {"scale": (1, 1), "flip": 0, "gray": 0, "blur": 0, "mask": 0, "jitter": 1e-9}
    gray = {name: torch.full((4, 128, 128, 3), 90, dtype=torch.uint8) for name in ("crops", "positive")}
    settings = SslFerSettings(parts="time-aug", views={"size": 24, **still})
    views = SslFer(nn.Flatten(), 3 * 24 * 24, settings).views({**batch(), **gray}, seeded())
    assert (views.b - views.b[0]).abs().max() < 1e-5
    assert (views.a - views.b).abs().amax((1, 2, 3)).min() > 1e-3
