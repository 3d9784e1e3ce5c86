"""The loop: batches in, views on the device, one optimiser step, figures out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import timm.optim
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor, nn

from ferkit.errors import TrainingError, UnknownNameError
from ferkit.progress import Progress
from ferkit.training.checkpoint import latest, load_checkpoint, save_checkpoint
from ferkit.training.metrics import MetricsFile
from ferkit.training.schedule import batches, learning_rate, step_generator
from ferkit.training.settings import TrainSettings

__all__ = ["Faces", "Trainable", "Trained", "UnknownOptimizerError", "check_settings", "train"]


class Trainable(Protocol):
    """What the loop asks of a method, which is also an `nn.Module` whose call returns the figures of a batch."""

    def views(self, crops: Tensor, generator: torch.Generator) -> Any:  # noqa: ANN401
        """Turn (B, H, W, 3) uint8 crops into what the module is called with."""

    def after_step(self, done: float) -> None:
        """Follow up on an optimiser step."""


class Faces(Protocol):
    """What the loop asks of a face set."""

    def __len__(self) -> int:
        """Count the faces."""

    def crops(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Read (n, H, W, 3) crops."""


class UnknownOptimizerError(UnknownNameError):
    """timm has no optimiser of this name."""

    kind = "optimizer"
    listing = "any name of `timm.optim.list_optimizers()`"


@dataclass(frozen=True)
class Trained:
    """What a finished run has to say of itself."""

    steps: int
    seconds: float
    last: dict[str, float]


def check_settings(settings: TrainSettings, faces: int) -> None:
    """Tell what would keep a run from starting, before anything is written.

    Raises:
        TrainingError: the faces do not fill one batch.
        UnknownOptimizerError: timm has no such optimiser.
    """
    if faces < settings.batch_size:
        raise TrainingError(
            f"{faces} faces do not fill one batch of {settings.batch_size}; "
            f"give more faces or --batch-size {max(2, faces // 2)}"
        )
    if settings.optimizer not in timm.optim.list_optimizers():
        raise UnknownOptimizerError(settings.optimizer, timm.optim.list_optimizers())


def train(
    method: nn.Module, faces: Faces, settings: TrainSettings, run: Path, progress: Progress, device: str | None
) -> Trained:
    """Train ``method`` in place, from the newest checkpoint of ``run`` if there is one.

    Every random number is a function of the seed and the step, so a run that was stopped and resumed takes the same
    steps as an unbroken one.

    Args:
        method: module that also is `Trainable`.
        faces: what to train on.
        settings: of the loop.
        run: folder that receives ``metrics.csv`` and ``checkpoints/``.
        progress: told of every step.
        device: name of a torch device; None lets accelerate choose.

    Raises:
        TrainingError: too few faces for one batch, or the loss is not finite; the last good checkpoint is kept.
        OutputError: the run folder cannot be written.
    """
    return _Run(method, faces, settings, run, progress, device).go()


class _Run:
    """The state of one call of `train`."""

    def __init__(
        self,
        method: nn.Module,
        faces: Faces,
        settings: TrainSettings,
        run: Path,
        progress: Progress,
        device: str | None,
    ) -> None:
        check_settings(settings, len(faces))
        self.settings, self.faces, self.progress, self.run = settings, faces, progress, run
        self.accelerator = Accelerator(mixed_precision=settings.precision, cpu=device == "cpu")
        self.steps = max(1, math.floor(settings.epochs * (len(faces) // settings.batch_size)))
        self.method = method.to(self.accelerator.device)
        self.method.to(memory_format=torch.channels_last)
        self.trainable = cast(Trainable, method)
        optimizer = timm.optim.create_optimizer_v2(
            self.method,
            opt=settings.optimizer,
            lr=settings.lr,
            weight_decay=settings.weight_decay,
            momentum=settings.momentum,
            filter_bias_and_bn=True,
        )
        checkpoint = latest(run / "checkpoints")
        self.step = load_checkpoint(checkpoint, self.method, optimizer) if checkpoint else 0
        self.model, self.optimizer = self.accelerator.prepare(self.method, optimizer)
        self.metrics = MetricsFile(run / "metrics.csv", self.step) if self.accelerator.is_main_process else None

    def go(self) -> Trained:
        started = time.monotonic()
        shown: dict[str, float] = {}
        self.progress.start("pre-training", self.steps, self.step)
        self.model.train()
        clock = _Clock()
        for crops in self._crops():
            figures = self._take_step(crops)
            clock.count(len(crops) * self.accelerator.num_processes)
            saving = self.step % self.settings.checkpoint_steps == 0 or self.step == self.steps
            if saving or self.step % self.settings.log_steps == 0:
                shown = self._log(figures, clock.rate())
            self.progress.advance(note=" ".join(f"{name} {value:.3g}" for name, value in shown.items()))
            if saving:
                self._save()
        return Trained(self.steps, time.monotonic() - started, shown)

    def _crops(self) -> Iterator[Tensor]:
        """Read one batch ahead, each process its share."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        order = batches(len(self.faces), self.settings.batch_size, self.settings.seed, self.step, self.steps)
        read: Callable[[NDArray[np.int64]], NDArray[np.uint8]] = self.faces.crops
        with ThreadPoolExecutor(1) as reader:
            ahead = None
            for indices in order:
                following = reader.submit(read, indices[rank::world])
                if ahead is not None:
                    yield torch.from_numpy(ahead.result())
                ahead = following
            if ahead is not None:
                yield torch.from_numpy(ahead.result())

    def _take_step(self, crops: Tensor) -> dict[str, Tensor]:
        s = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.step, self.steps, s.lr, s.warmup)
        generator = step_generator(s.seed, self.step, self.accelerator.process_index)
        views = self.trainable.views(crops.to(self.accelerator.device, non_blocking=True), generator)
        with self.accelerator.autocast():
            figures: dict[str, Tensor] = self.model(views)
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(figures["loss"])
        self.optimizer.step()
        self.step += 1
        self.trainable.after_step(self.step / self.steps)
        return figures

    def _log(self, figures: dict[str, Tensor], rate: float) -> dict[str, float]:
        mean = {name: float(self.accelerator.reduce(value.detach(), "mean")) for name, value in figures.items()}
        if not all(math.isfinite(value) for value in mean.values()):
            raise TrainingError(
                f"the loss is not finite at step {self.step}; lower lr (now {self.settings.lr:g}) and start anew, "
                "or --resume from the last good checkpoint"
            )
        shown = {**mean, "images/s": rate}
        if self.metrics:
            rounded = {name: f"{value:.6g}" for name, value in shown.items()}
            epoch = self.step / (len(self.faces) // self.settings.batch_size)
            self.metrics.append(
                {
                    "step": self.step,
                    "epoch": f"{epoch:.3f}",
                    "lr": f"{self.optimizer.param_groups[0]['lr']:.6g}",
                    **rounded,
                }
            )
        return shown

    def _save(self) -> None:
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            save_checkpoint(self.run / "checkpoints", self.step, self.method, self.optimizer.optimizer)


class _Clock:
    """Images a second since it was last asked."""

    def __init__(self) -> None:
        self.images, self.since = 0, time.monotonic()

    def count(self, images: int) -> None:
        self.images += images

    def rate(self) -> float:
        now = time.monotonic()
        rate = self.images / max(now - self.since, 1e-9)
        self.images, self.since = 0, now
        return rate
