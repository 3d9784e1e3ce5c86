"""``ferkit pretrain`` as a user types it."""

from pathlib import Path

import pytest

from ferkit.encoders.hashes import sha256_of
from ferkit.pretraining.recipe import seedless_digest

SMALL = ("--backbone", "test_resnet", "--batch-size", 4, "--epochs", 1, "--device", "cpu", "--set", "views.size=32")


@pytest.fixture
def pretrain(ferkit_command, crops):
    """Train for a step in a folder whose name a shell and rich would read otherwise."""
    return lambda *words: ferkit_command("pretrain", *words, "-o", "runs/a [x] b", *SMALL, "--set", "hidden=32")


def test_what_comes_next_can_be_typed_as_it_stands(pretrain, ferkit_command):
    assert ferkit_command("align", "crops", "-o", "my faces").code == 0
    done = pretrain("my faces")
    assert done.code == 0, done.err
    assert "1 step over 5 faces in " in done.out
    probe, embed = done.out.splitlines()[-2:]
    assert probe.startswith("next: ferkit probe 'runs/a [x] b' --data LABELLED")
    assert embed == "next: ferkit embed 'my faces' -e 'runs/a [x] b'"
    again = pretrain("my faces", "--resume")
    assert "1 step over 5 faces, finished already\nnext: " in again.out


def test_seeds_make_a_run_each_of_one_recipe(pretrain, ferkit_command):
    done = pretrain("crops", "--seeds", 2, "--seed", 3)
    assert done.code == 0, done.err
    assert "next: ferkit probe 'runs/a [x] b-s3' 'runs/a [x] b-s4' --data LABELLED" in done.out
    runs = [Path("runs") / f"a [x] b-s{seed}" for seed in (3, 4)]
    assert [(run / "faces").is_dir() for run in runs] == [True, False]  # photos are aligned once
    assert len({seedless_digest(run) for run in runs} - {None}) == 1
    assert len({sha256_of((run / "encoder.safetensors").read_bytes()) for run in runs}) == 2
