import csv
import errno
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from ferkit.errors import OutputError, TrainingError
from ferkit.methods.byol import Byol, ByolSettings
from ferkit.methods.views import ViewSettings
from ferkit.progress import Silent
from ferkit.training import checkpoint, loop
from ferkit.training.loop import train
from ferkit.training.processes import Processes
from ferkit.training.settings import MonitorSettings, TrainSettings
from samples import Tiny

SETTINGS = TrainSettings(epochs=4, batch_size=8, lr=1e-2, checkpoint_steps=3, log_steps=1, seed=3)


class Memory:
    """Faces in memory; told to, it fails like a process that is killed."""

    weights = None

    def __init__(self, count=20, fail_after=None):
        self.pixels = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        self.fail_after = fail_after
        self.read = 0

    def __len__(self):
        return len(self.pixels)

    def batch(self, indices, generator):
        self.read += 1
        if self.fail_after is not None and self.read > self.fail_after:
            raise KeyboardInterrupt
        return {"crops": self.pixels[indices]}


def learner():
    torch.manual_seed(0)
    return Byol(Tiny(), 8, ByolSettings(views=ViewSettings(size=24), hidden=16, projection=8))


def run(folder, faces=None, settings=SETTINGS, method=None, monitor=None):
    method = method or learner()
    result = train(method, faces or Memory(), settings, folder, Silent(), Processes("cpu"), monitor)
    return method.state_dict(), result


def rows(folder, name="metrics.csv"):
    with (folder / name).open() as file:
        return [{k: v for k, v in row.items() if k != "images/s"} for row in csv.DictReader(file)]


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("stopped_after", [1, 5])
def test_stopped_and_resumed_ends_with_the_same_weights(tmp_path, stopped_after):
    whole, _ = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", Memory(fail_after=stopped_after))
    resumed, _ = run(tmp_path / "broken")
    assert same(resumed, whole)
    assert rows(tmp_path / "broken") == rows(tmp_path / "whole")


class Pairs(Memory):
    """Faces, each with another one drawn for it."""

    drawn = None

    def batch(self, indices, generator):
        self.drawn = [
            *(self.drawn or []),
            (indices.tolist(), generator.integers(len(self), size=len(indices)).tolist()),
        ]
        return {**super().batch(indices, generator), "partner": self.pixels[self.drawn[-1][1]]}


class Paired(Byol):
    """Learns from the faces drawn beside those of the step."""

    def views(self, batch, generator):
        return super().views({"crops": batch["partner"]}, generator)


def as_a(kind):
    method = learner()
    method.__class__ = kind
    return method


def test_pairs_are_drawn_anew_at_each_step_and_alike_by_a_resumed_run(tmp_path):
    settings = SETTINGS.model_copy(update={"accumulate": 2})
    faces, broken, rest = Pairs(), Pairs(fail_after=4), Pairs()
    whole, _ = run(tmp_path / "whole", faces, settings, as_a(Paired))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", broken, settings, as_a(Paired))
    resumed, _ = run(tmp_path / "broken", rest, settings, as_a(Paired))
    assert rest.drawn == faces.drawn[3:]  # the checkpoint is of step 3
    assert same(resumed, whole)
    partners = {}
    for indices, drawn in faces.drawn:
        for index, partner in zip(indices, drawn, strict=True):
            partners.setdefault(index, set()).add(partner)
    assert len(faces.drawn) == 8
    assert sum(len(found) > 1 for found in partners.values()) > 15  # of 20 faces, in four epochs


def test_a_finished_run_leaves_safetensors_json_and_two_checkpoints_and_takes_no_further_step(tmp_path):
    state, _ = run(tmp_path)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".csv", ".json", ".safetensors"}
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-00000006", "step-00000008"]
    faces = Memory()
    again, _ = run(tmp_path, faces)
    assert faces.read == 0
    assert same(again, state)


def test_too_few_faces_says_which_batch_size_fits(tmp_path):
    with pytest.raises(TrainingError, match=r"5 faces do not fill one batch of 8.*batch_size=2"):
        run(tmp_path, Memory(5))


class Explodes(Byol):
    steps = 0

    def loss(self, views):
        return {"loss": super().loss(views)["loss"] * (float("nan") if self.steps >= 4 else 1)}

    def after_step(self, done):
        super().after_step(done)
        self.steps += 1


@pytest.mark.parametrize("log_steps", [1, 100])
def test_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tmp_path, log_steps):
    with pytest.raises(TrainingError, match="not finite"):
        run(tmp_path, method=as_a(Explodes), settings=SETTINGS.model_copy(update={"log_steps": log_steps}))
    kept = sorted((tmp_path / "checkpoints").iterdir())
    assert [path.name for path in kept] == ["step-00000003"]
    assert all(tensor.isfinite().all() for tensor in load_file(kept[0] / "method.safetensors").values())


def test_checkpoint_of_another_network_is_refused(tmp_path):
    run(tmp_path)
    other = Byol(nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), 4, ByolSettings(hidden=16))
    with pytest.raises(TrainingError, match="another method or backbone"):
        run(tmp_path, method=other)


def test_full_disk_keeps_older_checkpoints(tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Memory(fail_after=4))
    monkeypatch.setattr(checkpoint, "to_safetensors", full)
    with pytest.raises(OutputError, match="No space left on device"):
        run(tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000003"]


class Regression(nn.Module):
    """The smallest method: a linear map of the crops' mean colour, which is to become 1."""

    def __init__(self, weight=(0.1, 0.2, 0.3), dropout=0.0):
        super().__init__()
        self.backbone = nn.Linear(3, 1, bias=False)
        self.backbone.weight.data = torch.tensor([list(weight)])
        self.dropout = nn.Dropout(dropout)
        self.weights = []
        self.at_step = lambda step: None

    def views(self, batch, generator):
        return batch["crops"].float().mean((1, 2)) / 255

    def forward(self, views):
        self.at_step(len(self.weights))
        return {"loss": (self.backbone(self.dropout(views)) - 1).square().mean()}

    def after_step(self, done):
        self.weights.append(self.backbone.weight.detach().clone())

    def advice(self, rows):
        return None


PLAIN = TrainSettings(
    epochs=4, batch_size=8, optimizer="sgd", lr=0.1, momentum=0, weight_decay=0, warmup=0, log_steps=1, seed=3
)


def changed(**settings):
    return PLAIN.model_copy(update=settings)


def test_passes_add_up_to_the_same_step(tmp_path):
    whole, split = Regression(), Regression()
    run(tmp_path / "whole", method=whole, settings=PLAIN)
    run(tmp_path / "split", method=split, settings=changed(accumulate=4))
    torch.testing.assert_close(split.weights, whole.weights)
    losses = [[float(row["loss"]) for row in rows(tmp_path / name)] for name in ("whole", "split")]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_a_long_gradient_is_clipped_to_its_norm(tmp_path):
    method = Regression()
    start = method.backbone.weight.detach().clone()
    run(tmp_path, method=method, settings=changed(clip=0.01))
    assert (method.weights[0] - start).norm().item() == pytest.approx(0.1 * 0.01, rel=1e-4)
    assert float(rows(tmp_path)[0]["gradient"]) > 0.01


def test_average_of_weights_by_hand(tmp_path):
    method = Regression()
    _, result = run(tmp_path, method=method, settings=changed(ema=0.5))
    average = method.weights[0]
    for step, weight in enumerate(method.weights[1:], start=1):
        decay = min(0.5, 1 - (1 + step) ** (-2 / 3))  # rises from 0.37, so that the random start is soon forgotten
        average = decay * average + (1 - decay) * weight
    torch.testing.assert_close(result.encoder.weight.detach(), average)
    assert not torch.equal(average, method.weights[-1])


@pytest.mark.parametrize(
    "more",
    [{"ema": 0.9, "accumulate": 2, "momentum": 0.9}, {"optimizer": "lars"}, {"optimizer": "adamw", "clip": 0.1}],
)
def test_all_that_changes_is_resumed(tmp_path, more):
    settings = changed(checkpoint_steps=3, **more)
    whole = run(tmp_path / "whole", method=Regression(dropout=0.5), settings=settings)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", Memory(fail_after=5), method=Regression(dropout=0.5), settings=settings)
    resumed = run(tmp_path / "broken", method=Regression(dropout=0.5), settings=settings)
    assert same(resumed[0], whole[0])
    assert same(resumed[1].encoder.state_dict(), whole[1].encoder.state_dict())


def test_scaler_is_kept_in_a_checkpoint(tmp_path):
    def learning(scale):
        method = Regression()
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        return checkpoint.Learner(method, torch.optim.SGD(method.parameters(), 0.1), scaler=scaler, step=7)

    path = checkpoint.save_checkpoint(tmp_path, learning(8.0))
    other = learning(2.0)
    checkpoint.load_checkpoint(path, other)
    assert (other.scaler.get_scale(), other.step) == (8.0, 7)


@pytest.mark.parametrize("name", ["method.safetensors", "optimizer.safetensors", "average.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "nested", "gone", "list"])
def test_a_damaged_checkpoint_is_not_gone_on_with(tmp_path, name, damage):
    method = Regression()
    saved = checkpoint.Learner(method, torch.optim.Adam(method.parameters(), 0.1), average=Regression(), step=7)
    checkpoint.save_best(tmp_path, saved, 0.5, "faces")
    file = tmp_path / "best" / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    contents = {"flip": bytes(data), "cut": bytes(data[:-9]), "nested": b"[" * 100_000, "list": b"[1]"}
    file.unlink() if damage == "gone" else file.write_bytes(contents[damage])
    with pytest.raises(TrainingError, match=r"cannot go on from .*best"):
        checkpoint.load_checkpoint(tmp_path / "best", saved)
    if name == "state.json" and damage != "gone":
        with pytest.raises(TrainingError, match="delete this folder"):
            checkpoint.best_value(tmp_path, "faces")


def test_monitor_looks_every_epoch_and_the_best_stays(tmp_path):
    values = iter([0.2, 0.5, 0.4, 0.3])
    seen = []

    def monitor(encoder, step):
        assert not encoder.training
        torch.rand(step)  # what it draws must not reach the training
        seen.append((step, encoder.weight.detach().clone()))
        return {"knn": next(values)}

    settings = changed(monitor=MonitorSettings(every=1))
    method = Regression(dropout=0.5)
    run(tmp_path / "watched", method=method, settings=settings, monitor=monitor)
    assert [step for step, _ in seen] == [2, 4, 6, 8]
    weights, step = checkpoint.encoder_weights(tmp_path / "watched" / "checkpoints" / "best")
    assert step == 4
    assert torch.equal(weights["weight"], seen[1][1])
    assert [(row["step"], row["knn"]) for row in rows(tmp_path / "watched", "monitor.csv")][1] == ("4", "0.5")
    alone, _ = run(tmp_path / "alone", method=Regression(dropout=0.5), settings=settings)
    assert same(alone, method.state_dict())


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_out_of_memory_says_what_to_lower(tmp_path, error):
    method = Regression()

    def full(step):
        raise error

    method.at_step = full
    with pytest.raises(TrainingError, match=r"accumulate to 4.*views\.size"):
        run(tmp_path, method=method, settings=changed(accumulate=2))


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    method = Regression()

    def explode(step):
        if step == 4:  # the loss is that of the weights before the step, and so still is finite
            method.backbone.weight.register_hook(lambda gradient: gradient * float("inf"))

    method.at_step = explode
    with pytest.raises(TrainingError, match=r"'backbone\.weight' are not finite at step 5"):
        run(tmp_path, method=method, settings=changed(checkpoint_steps=1, log_steps=100))
    assert [path.name for path in sorted((tmp_path / "checkpoints").iterdir())] == ["step-00000003", "step-00000004"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"batch_size": 9, "accumulate": 2}, "take batch_size=8"),
        ({"batch_size": 4, "accumulate": 4}, "take batch_size=8"),
        ({"precision": "fp16"}, "fp16 needs a GPU"),
    ],
)
def test_settings_that_do_not_go_together(tmp_path, settings, says):
    with pytest.raises(TrainingError, match=says):
        run(tmp_path, method=Regression(), settings=changed(**settings))
    assert not list(tmp_path.iterdir())


class Signals(Regression):
    """Is asked to end during a step: calls the handler that the signal of a user or a scheduler would reach."""

    def __init__(self, number, at=2):
        super().__init__()
        self.at_step = lambda step: signal.getsignal(number)(number, None) if step == at else None


@pytest.mark.parametrize(("number", "ending"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_ends_the_run_after_its_step_and_keeps_that(tmp_path, number, ending, listener):
    whole, _ = run(tmp_path / "whole", method=Regression(), settings=PLAIN)
    before, progress = signal.getsignal(number), listener()
    with pytest.raises(ending):
        train(Signals(number), Memory(), PLAIN, tmp_path / "broken", progress, Processes("cpu"))
    assert signal.getsignal(number) is before
    assert [path.name for path in (tmp_path / "broken" / "checkpoints").iterdir()] == ["step-00000003"]
    assert progress.said == [f"stopped: step 3 of 8 is kept in {tmp_path / 'broken'}; --resume goes on from there"]
    progress = listener()
    method = Regression()
    train(method, Memory(), PLAIN, tmp_path / "broken", progress, Processes("cpu"))
    assert progress.said == ["going on after step 3 of 8"]
    assert same(method.state_dict(), whole)


def test_a_signal_in_the_last_step_lets_the_run_end_and_a_second_interrupt_ends_at_once(tmp_path):
    _, result = run(tmp_path / "last", method=Signals(signal.SIGTERM, at=7), settings=PLAIN)
    assert result.steps == 8
    method = Signals(signal.SIGINT)
    after = method.at_step
    method.at_step = lambda step: [after(step), after(step)]
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "twice", method=method, settings=PLAIN)
    assert not (tmp_path / "twice" / "checkpoints").exists()


def test_minutes_make_checkpoints_too(tmp_path, monkeypatch):
    now = iter(range(0, 100_000, 90))  # each look at the clock is a minute and a half after the one before
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(now))
    settings = changed(checkpoint_minutes=5, checkpoints=9, epochs=3)
    run(tmp_path, Memory(fail_after=6), method=Regression(), settings=settings)
    kept = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert kept[-1] == "step-00000006"
    assert len(kept) > 1


class Advises(Regression):
    def advice(self, rows):
        return f"the last of {len(rows)} rows has {rows[-1]['loss']:.0f}" if rows[-1]["loss"] > 0 else None


def test_advice_comes_less_and_less_often_and_at_the_end(tmp_path, listener):
    progress = listener()
    train(Advises(), Memory(), changed(epochs=25, lr=1e-9), tmp_path, progress, Processes("cpu"))
    assert [line.split(":")[0] for line in progress.said] == [f"step {step}" for step in (10, 20, 40, 50)]
    assert progress.said[0].endswith("the last of 10 rows has 0")
