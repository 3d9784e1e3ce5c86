"""Several processes on one machine, as a launcher starts them: gloo, on CPUs."""

import csv
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from safetensors.torch import load_file

from ferkit.workflows.pretrain import pretrain
from samples import noise

pytestmark = pytest.mark.slow

STILL = {"size": 32, "scale": [1, 1], "aspect": [1, 1], "rotation": 0, "flip": 0, "jitter": 0, "gray": 0, "blur": 0}
"""Views without chance: each process draws its own, so only such ones are the same however many share a batch."""

LAUNCHERS = {
    "torchrun": [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"],
    "accelerate": [
        *(sys.executable, "-m", "accelerate.commands.launch"),
        *("--multi_gpu", "--num_processes=2", "--main_process_port=0"),
    ],
}
"""Each asks for a port that is free; what accelerate calls --multi_gpu starts processes, GPUs or not."""


@pytest.fixture(scope="module")
def folder(write_face_set, tmp_path_factory):
    folder = tmp_path_factory.mktemp("together")
    write_face_set(folder / "faces", noise(16))
    training = {"batch_size": 8, "epochs": 2, "lr": 0.01, "optimizer": "sgd", "log_steps": 1, "checkpoint_steps": 2}
    recipe = {"method": "simclr", "backbone": "test_resnet", "settings": {"views": STILL}, "training": training}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder


def start(folder, launcher, *arguments):
    command = [*launcher, "-m", "ferkit", "pretrain", "faces", "--recipe", "recipe.yaml", "--device", "cpu", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def losses(run: Path):
    with (run / "metrics.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def alone(folder):
    return pretrain(folder / "faces", folder / "alone", recipe=folder / "recipe.yaml", device="cpu").run


def test_two_processes_take_the_steps_of_one_with_the_whole_batch(folder, alone):
    ended = start(folder, LAUNCHERS["accelerate"], "-o", "both")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("simclr: 4 steps over 16 faces") == 1  # one speaks
    # Batch norm over both halves, negatives of both, averaged gradients: only the order of sums differs.
    np.testing.assert_allclose(losses(folder / "both"), losses(alone), rtol=1e-4)
    mine, theirs = (load_file(run / "encoder.safetensors") for run in (folder / "both", alone))
    for name in theirs:
        np.testing.assert_allclose(mine[name].float(), theirs[name].float(), rtol=1e-2, atol=1e-3, err_msg=name)
    assert len(list((folder / "both" / "checkpoints").iterdir())) == 2


def test_a_failure_of_the_first_process_ends_all(folder, alone):
    before = losses(alone)
    ended = start(folder, LAUNCHERS["torchrun"], "-o", "alone")
    assert ended.returncode != 0
    assert "add --resume" in ended.stderr
    assert losses(alone) == before


def start_nodes(folder, *arguments):
    """Two machines, as far as their launchers can tell."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1"]
    launcher += ["--master-addr=127.0.0.1", f"--master-port={port}"]
    command = ["-m", "ferkit", "pretrain", "faces", "--recipe", "recipe.yaml", "--device", "cpu", *arguments]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo"}
    return [
        subprocess.Popen(
            [*launcher, f"--node-rank={rank}", *command],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(2)
    ]


@pytest.mark.skipif("FERKIT_NODES" not in os.environ, reason="half a minute: set FERKIT_NODES=1")
def test_a_run_that_loses_a_machine_goes_on_with_both(folder):
    arguments = ["-o", "nodes", "--set", "epochs=60", "--set", "checkpoint_steps=20"]
    nodes = start_nodes(folder, *arguments)
    checkpoints = folder / "nodes" / "checkpoints"
    while not (checkpoints.is_dir() and any(checkpoints.iterdir())):
        assert nodes[0].poll() is None, nodes[0].communicate()[0]
        time.sleep(0.01)
    lost = psutil.Process(nodes[1].pid)
    for process in [*lost.children(recursive=True), lost]:
        process.kill()
    nodes[1].communicate()
    nodes[0].communicate(timeout=120)
    assert nodes[0].returncode != 0
    assert not (folder / "nodes" / "encoder.safetensors").exists()
    told = [node.communicate(timeout=300)[0] for node in start_nodes(folder, *arguments, "--resume")]
    assert "going on after" in told[0], told[0]
    assert len(losses(folder / "nodes")) == 120
    assert (folder / "nodes" / "encoder.safetensors").exists()
