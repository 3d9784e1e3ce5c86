"""Batch norm over the faces of all processes, so that a batch means the same however many share it."""

from typing import cast

import timm.layers
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from ferkit.ops.distributed import gather_rows, process_count


def sync_batch_norms(method: nn.Module, device: torch.device) -> nn.Module:
    """Make every batch norm take its mean and variance over all processes; names of weights stay.

    On GPUs these are torch's `torch.nn.SyncBatchNorm`, which knows no other device; elsewhere `SyncedBatchNorm`.
    """
    if device.type == "cuda":
        converted: nn.Module = timm.layers.convert_sync_batchnorm(method)
        return converted
    for module in method.modules():
        if isinstance(module, _BatchNorm):
            # In place and not replaced, so that what refers to the module, and its hooks, still do.
            module.__class__ = SyncedBatchNorm
    return method


class SyncedBatchNorm(_BatchNorm):
    """Batch norm with statistics over all processes, each of which holds as many rows, on any device.

    It also is what timm's ``BatchNormAct2d`` is: an activation may follow.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, ...); in evaluation mode with the running statistics, as ever."""
        if self.training or self.running_mean is None:
            mean, variance = self._statistics(x)
            normed = self._normalise(x, mean, variance)
        else:
            normed = F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        for follows in ("drop", "act"):
            if (layer := getattr(self, follows, None)) is not None:
                normed = layer(normed)
        return normed

    def _statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        dims = [dim for dim in range(x.ndim) if dim != 1]
        mean = _average(x.float().mean(dims))
        variance = _average((x.float() - _along(mean, x)).square().mean(dims))
        if self.track_running_stats:
            self._follow(mean.detach(), variance.detach(), x.numel() // x.shape[1] * process_count())
        return mean, variance

    def _normalise(self, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        scale = (variance + self.eps).rsqrt()
        shift = -mean * scale
        if self.affine:
            scale, shift = scale * self.weight, shift * self.weight + self.bias
        return (x.float() * _along(scale, x) + _along(shift, x)).to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, rows: int) -> None:
        """Move the running statistics; the variance without bias, as `torch.nn.BatchNorm2d` does."""
        count = cast(Tensor, self.num_batches_tracked).add_(1)
        share = 1 / int(count) if self.momentum is None else self.momentum
        cast(Tensor, self.running_mean).lerp_(mean, share)
        cast(Tensor, self.running_var).lerp_(variance * rows / max(1, rows - 1), share)


def _average(x: Tensor) -> Tensor:
    """Mean over the processes, through which gradients flow."""
    return gather_rows(x[None]).mean(0)


def _along(channels: Tensor, x: Tensor) -> Tensor:
    return channels.view(1, -1, *[1] * (x.ndim - 2))
