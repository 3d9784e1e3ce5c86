"""Checkpoints as safetensors and JSON: no pickle, renamed into place when complete."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as from_safetensors
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from ferkit.atomic import atomic_path
from ferkit.documents import read_json
from ferkit.encoders.hashes import sha256_of
from ferkit.encoders.weights import misfits
from ferkit.errors import TrainingError

BEST = "best"
_BACKBONE = "backbone."
_METHOD, _AVERAGE, _OPTIMIZER = "method.safetensors", "average.safetensors", "optimizer.safetensors"
_STATE = "state.json"


@dataclass
class Learner:
    """All that changes in training; randomness and the order of the faces follow from the step.

    The average is that of the backbone's weights, the scaler that of fp16's gradients; ``step`` counts what is done.
    """

    method: nn.Module
    optimizer: torch.optim.Optimizer
    average: nn.Module | None = None
    scaler: torch.amp.GradScaler | None = None
    step: int = 0


def save_checkpoint(folder: Path, learner: Learner, keep: int = 2) -> Path:
    """Write ``folder/step-NNNNNNNN`` and drop all but the newest ``keep``.

    Raises:
        TrainingError: the weights are not finite; older checkpoints are untouched.
        OutputError: the disk is full or the folder cannot be written; older checkpoints are untouched.
    """
    final = folder / f"step-{learner.step:08d}"
    _write(final, learner, {})
    for old in sorted(folder.glob("step-*"))[:-keep]:
        shutil.rmtree(old)
    return final


def save_best(folder: Path, learner: Learner, value: float, data: str | None) -> None:
    """Write ``folder/best`` for the highest value of the monitor on ``data`` so far, in the place of the one before.

    Raises:
        TrainingError, OutputError: as `save_checkpoint`.
    """
    _write(folder / BEST, learner, {"value": value, "data": data})


def best_value(folder: Path, data: str | None) -> float:
    """The value that `save_best` came with; minus infinity where there is none, or one on other data."""
    if not (folder / BEST / _STATE).exists():
        return -float("inf")
    state = _read_state(folder / BEST)
    return float(state["value"]) if state.get("data") == data and "value" in state else -float("inf")


def load_checkpoint(path: Path, learner: Learner) -> None:
    """Restore everything in place.

    Raises:
        TrainingError: the checkpoint is damaged, or of another method, backbone or optimiser.
    """
    with _checkpoint_errors(path):
        weights = [(learner.method, _read_tensors(path, _METHOD))]
        if learner.average is not None:
            weights.append((learner.average, _read_tensors(path, _AVERAGE)))
    for module, tensors in weights:
        if wrong := misfits(module, tensors):
            name, here, there = wrong[0]
            raise TrainingError(
                f"cannot go on from {path}, which is of another method or backbone: {name!r} is {there} there and "
                f"{here} here; choose another -o"
            )
        module.load_state_dict(tensors)
    with _checkpoint_errors(path):
        state = _read_state(path)
        learner.optimizer.load_state_dict(_join(_read_tensors(path, _OPTIMIZER), state["optimizer"]))
        _lay_out_like_weights(learner.optimizer)
        if learner.scaler is not None:
            learner.scaler.load_state_dict(state["scaler"])
        learner.step = int(state["step"])


def encoder_weights(path: Path) -> tuple[dict[str, Tensor], int]:
    """The backbone's weights in a checkpoint, or their moving average where there is one, and the steps taken.

    Raises:
        TrainingError: the checkpoint is damaged.
    """
    with _checkpoint_errors(path):
        step = int(_read_state(path)["step"])
        if (path / _AVERAGE).exists():
            return _read_tensors(path, _AVERAGE), step
        state = _read_tensors(path, _METHOD)
    return {name.removeprefix(_BACKBONE): tensor for name, tensor in state.items() if name.startswith(_BACKBONE)}, step


def method_weights(run: Path) -> dict[str, Tensor]:
    """All weights of the method that a run has trained, by its newest checkpoint.

    Raises:
        TrainingError: there is no checkpoint, or it is damaged.
    """
    checkpoint = latest(run / "checkpoints")
    if checkpoint is None:
        raise TrainingError(f"there is no checkpoint of a run in {str(run)!r}; give a folder that `pretrain` has left")
    with _checkpoint_errors(checkpoint):
        return _read_tensors(checkpoint, _METHOD)


def latest(folder: Path) -> Path | None:
    """The newest complete checkpoint, if any."""
    return max(folder.glob("step-*"), default=None)


def _write(final: Path, learner: Learner, more: Mapping[str, object]) -> None:
    tensors, rest = _split(learner.optimizer.state_dict())
    method = _contiguous(learner.method.state_dict())
    _require_finite(method, learner.step)
    scaler = {} if learner.scaler is None else {"scaler": learner.scaler.state_dict()}
    with atomic_path(final) as partial:
        partial.mkdir()
        files = {_METHOD: method, _OPTIMIZER: _contiguous(tensors)}
        if learner.average is not None:
            files[_AVERAGE] = _contiguous(learner.average.state_dict())
        digests = {}
        for name, content in files.items():
            data = to_safetensors(content)
            (partial / name).write_bytes(data)
            digests[name] = sha256_of(data)
        state = {"step": learner.step, "optimizer": rest, **scaler, **more, "sha256": digests}
        (partial / _STATE).write_text(json.dumps({**state, "own": _digest(state)}, indent=1))


def _digest(state: Mapping[str, Any]) -> str:
    return sha256_of(json.dumps(state, sort_keys=True).encode())


def _read_state(path: Path) -> dict[str, Any]:
    """A checkpoint's state, as it was written; `TrainingError` where it is damaged."""
    with _checkpoint_errors(path):
        state = read_json(path / _STATE)
        if state.pop("own", None) != _digest(state):
            raise ValueError(f"{_STATE} has changed since it was written")
    return state


def _read_tensors(path: Path, name: str) -> dict[str, Tensor]:
    """The tensors of one file of a checkpoint, which must be as they were written."""
    data = (path / name).read_bytes()
    if _read_state(path)["sha256"][name] != sha256_of(data):
        raise ValueError(f"{name} has changed since it was written")
    return dict(from_safetensors(data))


def _require_finite(state: Mapping[str, Tensor], step: int) -> None:
    broken = [name for name, tensor in state.items() if tensor.is_floating_point() and not tensor.isfinite().all()]
    if broken:
        raise TrainingError(
            f"the weights {broken[0]!r} are not finite at step {step}; lower lr, or set clip=1, and start anew, "
            "or --resume from the last good checkpoint"
        )


@contextmanager
def _checkpoint_errors(path: Path) -> Iterator[None]:
    """Say of whatever fails in the block that this checkpoint is damaged, and what to do."""
    try:
        yield
    except TrainingError:
        raise
    except Exception as error:
        raise TrainingError(
            f"cannot go on from {path}: {' '.join(str(error).split())[:200]}; "
            "delete this folder to go on from the checkpoint before it"
        ) from error


def _contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Lay channels_last weights out as safetensors wants them."""
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _lay_out_like_weights(optimizer: torch.optim.Optimizer) -> None:
    """Undo `_contiguous` for what an optimiser keeps of a weight: it is fast where both are laid out alike."""
    for weight, slots in optimizer.state.items():
        for name, value in slots.items():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                slots[name] = torch.empty_like(weight, dtype=value.dtype).copy_(value)


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
