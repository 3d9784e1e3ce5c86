"""What the processes of one training see of each other's batches."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def process_count() -> int:
    """How many processes train together; 1 where torch.distributed has not been started."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def process_rank() -> int:
    """The number of this process among them, from 0."""
    return dist.get_rank() if process_count() > 1 else 0


def gather_rows(x: Tensor) -> Tensor:
    """Concatenate the rows of all processes, in the order of their ranks.

    The gradient of a row is the sum of what the losses of all processes say of it. So where each process has its
    share of the loss and gradients are averaged over the processes, as DistributedDataParallel does, the result is
    the gradient of the mean of the losses. All processes must call this, in the same order and with equal shapes.

    Args:
        x: (B, ...) of this process.

    Returns:
        (world * B, ...), those of this process from row rank * B; ``x`` itself where there is one process.
    """
    if process_count() == 1:
        return x
    gathered: Tensor = _GatherRows.apply(x)
    return gathered


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ANN401
        ctx.rows = len(x)
        gathered = x.new_empty(process_count() * len(x), *x.shape[1:])
        dist.all_gather_into_tensor(gathered, x.contiguous())
        return gathered

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        gradient = gradient.clone(memory_format=torch.contiguous_format)  # autograd may hold on to what it gave
        dist.all_reduce(gradient)
        return gradient.narrow(0, process_rank() * ctx.rows, ctx.rows)
