import csv
import errno

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from ferkit.errors import OutputError, TrainingError
from ferkit.methods.byol import Byol, ByolSettings
from ferkit.methods.views import ViewSettings
from ferkit.progress import Silent
from ferkit.training import checkpoint
from ferkit.training.loop import train
from ferkit.training.settings import TrainSettings

SETTINGS = TrainSettings(epochs=4, batch_size=8, lr=1e-2, checkpoint_steps=3, log_steps=1, seed=3)


class Memory:
    """Faces in memory; told to, it fails like a process that is killed."""

    def __init__(self, count=20, fail_after=None):
        self.pixels = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        self.fail_after = fail_after
        self.read = 0

    def __len__(self):
        return len(self.pixels)

    def crops(self, indices):
        self.read += 1
        if self.fail_after is not None and self.read > self.fail_after:
            raise KeyboardInterrupt
        return self.pixels[indices]


def learner():
    torch.manual_seed(0)
    backbone = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    return Byol(backbone, 8, ByolSettings(views=ViewSettings(size=24), hidden=16, projection=8))


def run(folder, faces=None, settings=SETTINGS, method=None):
    method = method or learner()
    result = train(method, faces or Memory(), settings, folder, Silent(), "cpu")
    return method.state_dict(), result


def rows(folder):
    with (folder / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_unbroken_run(tmp_path):
    state, result = run(tmp_path)
    assert result.steps == 8  # 20 faces make 2 batches of 8 an epoch
    assert [int(row["step"]) for row in rows(tmp_path)] == list(range(1, 9))
    assert {"loss", "lr", "epoch", "images/s"} <= rows(tmp_path)[0].keys()
    assert not same(state, learner().state_dict())


@pytest.mark.parametrize("stopped_after", [1, 4, 5, 7])
def test_stopped_and_resumed_ends_with_the_same_weights(tmp_path, stopped_after):
    whole, _ = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken", Memory(fail_after=stopped_after))
    resumed, _ = run(tmp_path / "broken")
    assert same(resumed, whole)
    clean = [{k: v for k, v in row.items() if k != "images/s"} for row in rows(tmp_path / "whole")]
    assert [{k: v for k, v in row.items() if k != "images/s"} for row in rows(tmp_path / "broken")] == clean


def test_resuming_a_finished_run_takes_no_step(tmp_path):
    state, _ = run(tmp_path)
    faces = Memory()
    again, _ = run(tmp_path, faces)
    assert faces.read == 0
    assert same(again, state)


def test_another_seed_gives_other_weights(tmp_path):
    state, _ = run(tmp_path / "a")
    other, _ = run(tmp_path / "b", settings=SETTINGS.model_copy(update={"seed": 4}))
    assert not same(state, other)


def test_only_safetensors_and_json_are_written_and_two_checkpoints_stay(tmp_path):
    run(tmp_path)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".csv", ".json", ".safetensors"}
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-00000006", "step-00000008"]
    assert load_file(tmp_path / "checkpoints" / "step-00000008" / "method.safetensors")


def test_too_few_faces_says_which_batch_size_fits(tmp_path):
    with pytest.raises(TrainingError, match=r"5 faces do not fill one batch of 8.*--batch-size 2"):
        run(tmp_path, Memory(5))


class Explodes(Byol):
    def loss(self, views):
        figures = super().loss(views)
        self.calls = getattr(self, "calls", 0) + 1
        return {"loss": figures["loss"] * (float("nan") if self.calls > 4 else 1)}


@pytest.mark.parametrize("log_steps", [1, 100])
def test_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tmp_path, log_steps):
    method = learner()
    method.__class__ = Explodes
    with pytest.raises(TrainingError, match="not finite"):
        run(tmp_path, method=method, settings=SETTINGS.model_copy(update={"log_steps": log_steps}))
    kept = sorted((tmp_path / "checkpoints").iterdir())
    assert [path.name for path in kept] == ["step-00000003"]
    assert all(tensor.isfinite().all() for tensor in load_file(kept[0] / "method.safetensors").values())


def test_checkpoint_of_another_network_is_refused(tmp_path):
    run(tmp_path)
    other = Byol(nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), 4, ByolSettings(hidden=16))
    with pytest.raises(TrainingError, match="cannot go on from"):
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
