"""The processes that train together: one, or as many as ``torchrun`` or ``accelerate launch`` started."""

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from torch import distributed

from ferkit.errors import TrainingError
from ferkit.ops.device import pick_device

_PATIENCE = timedelta(hours=24)
"""How long the others wait while the first process aligns faces; a launcher ends them sooner if it dies."""

T = TypeVar("T")


def is_first_process() -> bool:
    """Say whether this process is the one that writes and speaks, by what a launcher left in the environment."""
    return int(os.environ.get("RANK", "0")) == 0


class Processes:
    """Joins the processes of a launcher, where there is one.

    Attributes:
        rank: number of this process, 0 for the first.
        world: how many there are.
        device: what this process computes on.
    """

    def __init__(self, device: str | None) -> None:
        """Choose the device and meet the other processes.

        Args:
            device: name of a torch device; None takes the best one. With several processes each GPU gets its own.

        Raises:
            InputError: there is no such device here.
        """
        best = pick_device(device)
        # accelerate keeps one state for the whole program, which an earlier run on another device would decide.
        AcceleratorState._reset_state(reset_partial_state=True)
        state = PartialState(cpu=best.type == "cpu", timeout=_PATIENCE)
        if state.num_processes == 1 and device is not None:
            state.device = best
        self.rank: int = state.process_index
        self.world: int = state.num_processes
        self.device: torch.device = state.device

    @property
    def first(self) -> bool:
        """Whether this is the process that writes."""
        return self.rank == 0

    def accelerator(self, precision: str, trackers: Sequence[str], folder: Path) -> Accelerator:
        """Wrap the processes for training."""
        return Accelerator(
            mixed_precision=precision,
            cpu=self.device.type == "cpu",
            log_with=list(trackers) or None,
            project_dir=folder,
        )

    def on_rank_zero(self, work: Callable[[], T]) -> T | None:
        """Let the first process do something that only one may do, while the others wait.

        Returns:
            What ``work`` returns; None in the other processes.

        Raises:
            TrainingError: in the other processes, if it failed in the first, where its own error passes through.
        """
        if self.world == 1:
            return work()
        failed = torch.zeros((), device=self.device)
        result = None
        try:
            result = work() if self.first else None
        except BaseException:
            failed.fill_(1)
            raise
        finally:
            distributed.broadcast(failed, 0)
        if failed:
            raise TrainingError("stopped because the first process failed; its message says why")
        return result

    def any(self, asked: bool) -> bool:
        """Whether one of the processes asks; all of them call this."""
        if self.world == 1:
            return asked
        flag = torch.tensor(float(asked), device=self.device)
        distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag)

    def close(self) -> None:
        """End the process group; after this, `on_rank_zero` waits for nobody."""
        if self.world > 1:
            distributed.destroy_process_group()


def fast_precision(device: torch.device) -> str:
    """What ``precision=auto`` stands for on a device.

    Returns:
        ``bf16`` on GPUs and CPUs that multiply it in hardware (CPUs: AMX), ``fp16`` on other CUDA GPUs, else ``no``.
    """
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    abilities: dict[str, bool] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.11 and newer say so
    return "bf16" if device.type == "cpu" and abilities.get("amx_bf16") else "no"
