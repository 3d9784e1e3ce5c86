"""What holds for every method, alone and in two processes; run as a program, it is one of these processes."""

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ferkit.methods import METHODS, PRESETS
from ferkit.methods.base import MethodSettings
from ferkit.methods.views import Mixed
from ferkit.ops.distributed import gather_rows
from samples import Tiny, save_run, seeded, smooth_crops

LABELS = ("anger", "disgust", "joy")
COARSE = {
    "coarse": [{"name": "hot", "labels": ["anger"], "weight": 0.5}, {"name": "cool", "labels": ["disgust", "joy"]}]
}
CYCLE = {"stem": "learned", "channels": 8, "blocks": 1, "identity_blocks": 1, "perceptual": 0, "noise": 0}
VARIANTS = {
    "byol": ("byol", {"second_blur": 0.1, "second_solarise": 0.2}),
    "contrawarping": ("contrawarping", {}),
    "contrawarping-infonce": ("contrawarping", {"term": "infonce", "negatives": 2}),
    "contrawarping-repel": ("contrawarping", {"term": "repel"}),
    "contrawarping-positives": ("contrawarping", {"role": "positives"}),
    "contrawarping-simclr": ("contrawarping", {"base": "simclr", "negatives": 2}),
    "contrawarping-simclr-own": ("contrawarping", {"base": "simclr", "pool": "own"}),
    "contrawarping-simclr-positives": ("contrawarping", {"base": "simclr", "role": "positives"}),
    "contrawarping-parts": ("contrawarping", PRESETS["ssl-fer-g"].settings),
    "contrawarping-cutmix": ("contrawarping", {"parts": ["time-aug", "cutmix"], "negatives": 2}),
    "contrawarping-byol-swapped": ("contrawarping", {"parts": ["time-aug", "face-swap"]}),
    "crs-cont": ("crs-cont", COARSE),
    "crs-cont-contrast": ("crs-cont", {**COARSE, "classify": 0, "agree": 0}),
    "crs-cont-warped": ("crs-cont", {**COARSE, "warped": 2}),
    "cycleface": ("cycleface", CYCLE),
    "cycleface-identity": ("cycleface", {**CYCLE, "stage": "identity", "expression": "runs/other"}),
    "distill": ("distill", {"vector": 4}),
    "mocov2": ("mocov2", {}),
    "mocov2-symmetric": ("mocov2", {"symmetric": True}),
    "pcl": ("pcl", {}),
    "simclr": ("simclr", {}),
    "ssl-fer-none": ("ssl-fer", {"parts": ()}),
    "ssl-fer-c": ("ssl-fer", PRESETS["ssl-fer-c"].settings),
    "ssl-fer-e": ("ssl-fer", PRESETS["ssl-fer-e"].settings),
    "ssl-fer-g": ("ssl-fer", PRESETS["ssl-fer-g"].settings),
    "supervised": ("supervised", {"smoothing": 0.1}),
    "supervised-balanced": ("supervised", {"balance": "softmax", "copies": 2}),
    "unwarp": ("unwarp", {"negatives": 2}),
    "unwarp-contrast": ("unwarp", {"regress": 0, "spared": 0.2}),
    "unwarp-neighbours": ("unwarp", {"neighbours": 1}),
    "unwarp-alone": ("unwarp", {"strangers": False, "spread": 1, "neighbours": 1}),
    "vcl": ("vcl", {"noise": 0}),
    "vcl-plain": ("vcl", {"noise": 0, "beta": 0, "divergence": 0}),
    "votes": ("votes", {}),
    "votes-classes-alone": ("votes", {"mix": 0, "contrast": 0}),
}
MOMENTS = {"moment": 0, "positive_moment": 1, "hard_negative_moment": 4, "hard_positive_moment": 5}
WORLD = 2


class Rowwise(nn.Sequential):
    """(B, 3, 24, 24) -> (B, 32), each row by itself."""

    def __init__(self):
        super().__init__(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(3 * 6 * 6, 32), nn.Tanh())


def batch_of(count, seed=0):
    """Everything that any method may ask of a batch; a third of the faces have no known label, half a hard negative."""
    crops = smooth_crops(count, seed, cells=6, mode="bilinear")
    landmarks = torch.tensor([[43.5, 43.5], [83.5, 43.5], [63.5, 66.0], [46.9, 89.7], [80.1, 89.7]])
    clip = torch.arange(count) // 2
    return {
        "crops": crops,
        "positive": crops.roll(3, 2),
        "hard_negative": crops.flip(1),
        "hard_positive": crops.flip(1).roll(3, 2),
        "clip": clip,
        "hard_negative_clip": torch.where(torch.arange(count) % 2 == 0, clip, (clip + 1) % (count // 2)),
        "hard_negative_landmarks": landmarks.expand(count, -1, -1).clone(),
        **{name: 10_000_000 * torch.arange(count) // 3 + seconds * 1_000_000 for name, seconds in MOMENTS.items()},
        "partner": crops.flip(2).bitwise_or(15),
        "stranger": crops.roll(1, 0).bitwise_or(15),
        "label": torch.arange(count) % 3 - 1,
        "votes": torch.rand(count, 3, generator=seeded(seed)),
        "row": torch.arange(count),
        "person": torch.arange(count) // 2,
        "landmarks": landmarks.expand(count, -1, -1).clone(),
    }


@cache
def descriptor():
    """The folder of a small encoder, the same in every process."""
    return str(save_run(Path(tempfile.mkdtemp()), field=32))


def settings_of(variant):
    name, more = VARIANTS[variant]
    kind = METHODS[name].settings_type
    small = {"hidden": 16, "queue": 8, "views": {"size": 24}, "descriptor": descriptor(), "teacher": descriptor()}
    settings = kind(**{key: value for key, value in small.items() if key in kind.model_fields}, **more)
    return settings.for_labels([*LABELS, "joy", None])


def build(variant, backbone=lambda: Tiny(side=2)):
    torch.manual_seed(0)
    return METHODS[VARIANTS[variant][0]](backbone(), 32, settings_of(variant))


def take(views, rows):
    """Some rows, or all of them in another order; whom CutMix mixed must be among them."""
    context, places = views.context, torch.arange(len(views.a))
    if context is not None:
        context = replace(context, **{name: values[rows] for name, values in vars(context).items()})
    if isinstance(context, Mixed):
        place = torch.full((len(places),), -1).index_put((places[rows],), torch.arange(len(context.partner)))
        context = replace(context, partner=place[context.partner])
    names = ("a", "b", "label", "person", "row", "moments")
    taken = {name: getattr(views, name)[rows] for name in names if getattr(views, name) is not None}
    if views.displacement is not None:
        taken["displacement"] = views.displacement[:, rows]
    if views.target is not None:
        taken["target"] = torch.cat([half[rows] for half in views.target.chunk(2)])
    taken |= {"warped": views.warped[:, rows]} if len(views.warped) else {}
    return replace(views, **taken, context=context)


def views_of_halves(method):
    """Views of two processes' faces, in which CutMix stays within a half."""
    views = method.views(batch_of(8), seeded())
    if isinstance(views.context, Mixed):
        half = len(views.a) // WORLD
        partner = torch.cat([start + torch.arange(half).roll(1) for start in range(0, len(views.a), half)])
        views = replace(views, context=replace(views.context, partner=partner))
    return views


def outcome(method, views):
    """The loss and the gradients of all weights that have one."""
    loss = method(views)["loss"]
    loss.backward()
    gradients = {name: weight.grad for name, weight in method.named_parameters() if weight.grad is not None}
    return {"loss": loss.detach(), **gradients}


def test_every_method_is_tried_here():
    assert {name for name, _ in VARIANTS.values()} == set(METHODS)


@pytest.mark.parametrize("variant", VARIANTS)
def test_loss_is_finite_and_reaches_every_weight_that_learns(variant, accelerator):
    method = build(variant)
    with accelerator() as device:
        views = method.views(batch_of(8), seeded())
        assert all(value.shape == () and value.isfinite() for value in method(views).values())
        found = outcome(method, views)
        method.after_step(1.0)
    assert device.refused == set()
    learning = {name for name, weight in method.named_parameters() if weight.requires_grad}
    assert found.keys() == {"loss", *learning}  # DistributedDataParallel waits for all of them
    assert found["backbone.0.weight"].abs().sum() > 0


@pytest.mark.parametrize("variant", VARIANTS)
def test_twenty_steps_lower_the_loss(variant):
    """Two batches in turn; the first step on each is left out, in which MoCo's queue fills."""
    method = build(variant)
    views = [method.views(batch_of(8, seed), seeded(seed)) for seed in range(2)]
    optimizer = torch.optim.Adam([weight for weight in method.parameters() if weight.requires_grad], lr=3e-3)
    losses = []
    for step in range(22):
        loss = method(views[step % 2])["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.after_step((step + 1) / 22)
        losses.append(loss.item())
    assert sum(losses[-2:]) < sum(losses[2:4])


@pytest.mark.parametrize("variant", VARIANTS)
def test_order_of_the_faces_does_not_matter(variant):
    """In evaluation mode: in training MoCo groups the keys of a batch by their place."""
    method = build(variant).eval()
    views = method.views(batch_of(8), seeded())
    shuffled = take(views, torch.randperm(len(views.a), generator=seeded()))
    assert not torch.equal(shuffled.a, views.a)
    torch.testing.assert_close(method(shuffled)["loss"], method(views)["loss"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_views_are_seeded_and_of_the_asked_size(variant):
    method = build(variant)
    views, again = (method.views(batch_of(4), seeded()) for _ in range(2))
    anchors = 4 * (1 + ("hard_negative" in method.batch_fields_with(method.settings)))
    assert views.a.shape == views.b.shape == (anchors, 3, 24, 24)
    assert all(view.shape == views.a.shape for view in views.warped)
    torch.testing.assert_close([views.a, views.b, views.warped], [again.a, again.b, again.warped], atol=0, rtol=0)
    if "label" in method.batch_fields:
        assert views.label.tolist() == batch_of(4)["label"].tolist()


@pytest.mark.parametrize("name", METHODS)
def test_documentation_cites_the_paper_and_every_setting_says_what_it_is(name):
    kind = METHODS[name]
    assert "arXiv:" in sys.modules[kind.__module__].__doc__
    assert issubclass(kind.settings_type, MethodSettings)
    assert all(field.description for field in kind.settings_type.model_fields.values())


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_checkpoint_brings_back_the_loss(variant):
    method, other = build(variant), build(variant)
    views = method.views(batch_of(8), seeded())
    method(views)["loss"].backward()
    with torch.no_grad():
        for weight in method.parameters():
            weight.add_(0.01)
    other.load_state_dict(method.state_dict())
    torch.testing.assert_close(other(views), method(views), atol=0, rtol=0)


@pytest.fixture(scope="module")
def shares(tmp_path_factory):
    """What each of two processes has found for its half of the batch."""
    folder = tmp_path_factory.mktemp("processes")
    tests = Path(__file__).parents[1]
    environment = {
        **os.environ,
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([*sys.path, str(tests)]),
    }
    running = [
        subprocess.Popen([sys.executable, __file__, str(rank), str(folder)], env=environment) for rank in range(WORLD)
    ]
    assert [process.wait(timeout=120) for process in running] == [0] * WORLD
    return [load_file(folder / f"{rank}.safetensors") for rank in range(WORLD)]


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_processes_are_one_with_the_whole_batch(variant, shares):
    """The means of their losses and gradients, as DistributedDataParallel takes them, are its loss and gradients."""
    method = build(variant, Rowwise).eval()
    whole = outcome(method, views_of_halves(method))
    mean = {name: (shares[0][f"{variant} {name}"] + shares[1][f"{variant} {name}"]) / WORLD for name in whole}
    torch.testing.assert_close(mean, whole, atol=1e-6, rtol=1e-4)


def test_the_queue_takes_the_keys_of_all_processes(shares):
    method = build("mocov2", Rowwise)
    method(method.views(batch_of(8), seeded()))
    for share in shares:
        assert share["queue"].unique(dim=0).shape == (8, 16)
        torch.testing.assert_close(share["queue"].sort(0).values, method.queue.keys[:, :16].sort(0).values)


def test_gathered_rows_keep_their_order_and_their_gradient(shares):
    """Process r holds 10 r + (0, 1) and weighs all rows by (r + 1)(1, 2, 3, 4): a row's weights add up."""
    for rank, share in enumerate(shares):
        assert share["gathered"].tolist() == [[0.0], [1.0], [10.0], [11.0]]
        assert share["gathered gradient"].tolist() == [[[3.0], [6.0]], [[9.0], [12.0]]][rank]


def share_of(rank):
    found = {}
    for variant in VARIANTS:
        method = build(variant, Rowwise).eval()
        views = views_of_halves(method)
        half = len(views.a) // WORLD
        views = take(views, slice(half * rank, half * (rank + 1)))
        found |= {f"{variant} {name}": value for name, value in outcome(method, views).items()}
    method = build("mocov2", Rowwise)
    method(take(method.views(batch_of(8), seeded()), slice(4 * rank, 4 * rank + 4)))
    found["queue"] = method.queue.keys[:, :16]
    rows = (torch.tensor([[0.0], [1.0]]) + 10 * rank).requires_grad_()
    gathered = gather_rows(rows)
    ((rank + 1) * torch.tensor([[1.0], [2.0], [3.0], [4.0]]) * gathered).sum().backward()
    return {**found, "gathered": gathered.detach(), "gathered gradient": rows.grad}


if __name__ == "__main__":
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    torch.distributed.init_process_group("gloo", f"file://{folder / 'meeting'}", rank=rank, world_size=WORLD)
    found = share_of(rank)
    save_file({name: tensor.contiguous() for name, tensor in found.items()}, folder / f"{rank}.safetensors")
    torch.distributed.destroy_process_group()
