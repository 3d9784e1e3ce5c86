"""Checkpoints as safetensors and JSON: no pickle, renamed into place when complete."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from ferkit.atomic import atomic_path
from ferkit.errors import TrainingError

__all__ = ["latest", "load_checkpoint", "save_checkpoint"]

KEPT = 2


def save_checkpoint(folder: Path, step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> Path:
    """Write ``folder/step-NNNNNNNN`` and drop all but the newest two.

    Raises:
        OutputError: the disk is full or the folder cannot be written; older checkpoints are untouched.
    """
    final = folder / f"step-{step:08d}"
    tensors, rest = _split(optimizer.state_dict())
    for unfinished in folder.glob(".step-*"):  # of a run that was killed while it wrote
        shutil.rmtree(unfinished)
    with atomic_path(final) as partial:
        partial.mkdir()
        (partial / "method.safetensors").write_bytes(to_safetensors(_contiguous(model.state_dict())))
        (partial / "optimizer.safetensors").write_bytes(to_safetensors(_contiguous(tensors)))
        (partial / "state.json").write_text(json.dumps({"step": step, "optimizer": rest}, indent=1))
    for old in _all(folder)[:-KEPT]:
        shutil.rmtree(old)
    return final


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Restore both and return the number of steps they have taken.

    Raises:
        TrainingError: the checkpoint is damaged or belongs to another method or backbone.
    """
    try:
        state = json.loads((path / "state.json").read_text())
        model.load_state_dict(load_file(path / "method.safetensors"))
        optimizer.load_state_dict(_join(load_file(path / "optimizer.safetensors"), state["optimizer"]))
    except Exception as error:
        raise TrainingError(
            f"cannot go on from {path}: {' '.join(str(error).split())[:200]}; "
            "delete this folder to go on from the checkpoint before it"
        ) from error
    return int(state["step"])


def latest(folder: Path) -> Path | None:
    """The newest complete checkpoint, if any."""
    found = _all(folder)
    return found[-1] if found else None


def _all(folder: Path) -> list[Path]:
    return sorted(folder.glob("step-*"))


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Lay channels_last weights out as safetensors wants them."""
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _split(state: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Part an optimiser's state into named tensors and what JSON can hold."""
    tensors: dict[str, Tensor] = {}
    plain: dict[str, dict[str, Any]] = {}
    for index, slots in state["state"].items():
        for name, value in slots.items():
            if isinstance(value, Tensor):
                tensors[f"{index}.{name}"] = value
            else:
                plain.setdefault(str(index), {})[name] = value
    return tensors, {"state": plain, "param_groups": state["param_groups"]}


def _join(tensors: dict[str, Tensor], rest: dict[str, Any]) -> dict[str, Any]:
    slots: dict[int, dict[str, Any]] = {int(index): dict(values) for index, values in rest["state"].items()}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        slots.setdefault(int(index), {})[name] = tensor
    return {"state": slots, "param_groups": rest["param_groups"]}
