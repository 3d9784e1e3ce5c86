"""The loop: batches in, views on the device, one optimiser step, figures out."""

import math
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from timm.utils import ModelEmaV3
from torch import Tensor, nn

from ferkit.errors import TrainingError
from ferkit.progress import Progress, duration
from ferkit.training.checkpoint import Learner, best_value, latest, load_checkpoint, save_best, save_checkpoint
from ferkit.training.metrics import MetricsFile, check_trackers, start_trackers
from ferkit.training.optimizer import check_optimizer, make_optimizer
from ferkit.training.processes import Processes, fast_precision
from ferkit.training.reader import Faces, read_ahead
from ferkit.training.schedule import batches, learning_rate, pair_generator, step_generator, step_seed
from ferkit.training.settings import TrainSettings
from ferkit.training.stop import StopRequest, stop_requests
from ferkit.training.synced_norm import sync_batch_norms

BEST_BY = "knn"
"""The monitor's figure by which the best checkpoint is kept, where there is one."""

_SMALLEST_SCALE = 2.0**-14
_ROWS_OF_ADVICE = 10
_WORTH_SAYING_S = 10.0
_LONG_S = 60.0

Monitor = Callable[[nn.Module, int], Mapping[str, float]]
"""Told the encoder, in evaluation mode, and the step, it returns figures about it; called in the first process only."""


class Trainable(Protocol):
    """What the loop asks of a method, which is also an `nn.Module` whose call returns the figures of a batch."""

    backbone: nn.Module

    def views(self, batch: Mapping[str, Tensor], generator: torch.Generator) -> Any:  # noqa: ANN401
        """Turn a batch of `Faces` into what the module is called with."""

    def after_step(self, done: float) -> None:
        """Follow up on an optimiser step."""

    def advice(self, rows: Collection[Mapping[str, float]]) -> str | None:
        """Say what is amiss by the figures of the last rows of metrics.csv, and what to change; None: nothing."""


@dataclass(frozen=True)
class TrainResult:
    """What a finished run has to say of itself."""

    steps: int  # optimiser steps, those of earlier parts of the run included
    seconds: float  # of this part
    last: dict[str, float]  # figures of the last row of metrics.csv
    encoder: nn.Module  # the backbone, or the moving average of its weights


def steps_of(settings: TrainSettings, faces: int) -> int:
    """How many steps a run over so many faces takes; each epoch leaves its incomplete batch out."""
    return max(1, math.floor(settings.epochs * (faces // settings.batch_size)))


def check_settings(settings: TrainSettings, faces: int, processes: Processes) -> None:
    """Tell what would keep a run from starting, before anything is written.

    Raises:
        TrainingError: the faces do not fill one batch, the batch cannot be shared by the processes and passes, the
            device has no such precision, or something that the settings name is not installed.
        UnknownOptimizerError: timm has no such optimiser.
    """
    if faces < settings.batch_size:
        raise TrainingError(
            f"{faces} faces do not fill one batch of {settings.batch_size}; "
            f"give more faces or --batch-size {max(2, faces // 2)}"
        )
    parts = processes.world * settings.accumulate
    if settings.batch_size % parts or settings.batch_size < 2 * parts:
        raise TrainingError(
            f"a batch of {settings.batch_size} faces cannot be shared evenly by {processes.world} processes in "
            f"{settings.accumulate} passes each, two faces or more a pass; "
            f"take --batch-size {parts * max(2, round(settings.batch_size / parts))}"
        )
    if settings.precision == "fp16" and processes.device.type == "cpu":
        raise TrainingError("precision=fp16 needs a GPU; take bf16 or no on a CPU")
    check_optimizer(settings)
    check_trackers(settings)


def train(
    method: nn.Module,
    faces: Faces,
    settings: TrainSettings,
    run: Path,
    progress: Progress,
    processes: Processes,
    monitor: Monitor | None = None,
    shorter: str = "",
) -> TrainResult:
    """Train ``method`` in place, from the newest checkpoint of ``run`` if there is one.

    Every random number is a function of the seed, the step and the process, so a run that was stopped and resumed takes
    the same steps as an unbroken one. SIGINT and SIGTERM end it after the step that they meet, with a checkpoint; so
    does a step every ``settings.checkpoint_minutes``.

    Args:
        method: module that also is `Trainable`.
        faces: what to train on.
        settings: of the loop.
        run: folder that receives ``metrics.csv``, ``monitor.csv`` and ``checkpoints/``; the same for all processes.
        progress: told of every step.
        processes: those that train together; all of them call this.
        monitor: looks at the encoder every ``settings.monitor.every`` epochs and at the end.
        shorter: what would shorten the run; said with the estimate of a long one.

    Raises:
        KeyboardInterrupt, SystemExit: SIGINT or SIGTERM came; the step that was reached is kept.
        TrainingError: too few faces for one batch, out of memory, or the loss is not finite; the last good checkpoint
            is kept.
        OutputError: the run folder cannot be written.
    """
    check_settings(settings, len(faces), processes)
    with _training_errors(settings):
        return _Run(method, faces, settings, run, progress, processes, monitor, shorter).go()


@dataclass(eq=False)
class _Run:
    """The state of one call of `train`."""

    method: nn.Module
    faces: Faces
    settings: TrainSettings
    run: Path
    progress: Progress
    processes: Processes
    monitor: Monitor | None
    shorter: str

    def __post_init__(self) -> None:
        settings, processes, run = self.settings, self.processes, self.run
        precision = fast_precision(processes.device) if settings.precision == "auto" else settings.precision
        self.accelerator = processes.accelerator(precision, settings.trackers, run / "tensorboard")
        self.steps = steps_of(settings, len(self.faces))
        self.steps_an_epoch = len(self.faces) // settings.batch_size
        self.learner = self._learner(self.method)
        self.trainable = cast(Trainable, self.learner.method)
        if checkpoint := latest(run / "checkpoints"):
            load_checkpoint(checkpoint, self.learner)
            self.progress.say(f"going on after step {self.learner.step:,} of {self.steps:,}")
        if settings.compile:
            self.learner.method.compile()
        # The optimiser's state is where torch wants it. Moved by accelerate, AdamW's step counts would be on the GPU,
        # and each step would wait for all of them.
        self.model, self.optimizer = self.accelerator.prepare(
            self.learner.method, self.learner.optimizer, device_placement=[True, False]
        )
        self.metrics = MetricsFile(run / "metrics.csv", self.step) if processes.first else None
        looking = processes.first and self.monitor
        self.looks = MetricsFile(run / "monitor.csv", self.step) if looking else None

    def _learner(self, method: nn.Module) -> Learner:
        s = self.settings
        method = method.to(self.processes.device)
        if s.channels_last:
            method.to(memory_format=torch.channels_last)
        if s.sync_bn and self.processes.world > 1:
            method = sync_batch_norms(method, self.processes.device)
        # The warm-up lets the average forget the random start, which at a decay of 0.999 would take thousands of steps.
        self.average = ModelEmaV3(cast(Any, method).backbone, decay=s.ema, use_warmup=True) if s.ema else None
        average = self.average.module if self.average else None
        return Learner(method, make_optimizer(method, s), average, self.accelerator.scaler)

    @property
    def step(self) -> int:
        return self.learner.step

    @property
    def encoder(self) -> nn.Module:
        return self.trainable.backbone if self.learner.average is None else self.learner.average

    def go(self) -> TrainResult:
        started = time.monotonic()
        self.progress.start("pre-training", self.steps, self.step, "steps")
        self.model.train()
        if self.settings.trackers:
            start_trackers(self.accelerator, self.settings, self.run)
        try:
            with stop_requests() as stop:
                last = self._take_steps(stop)
        finally:
            for tracker in self.accelerator.trackers:
                tracker.finish()
        return TrainResult(self.steps, time.monotonic() - started, last, self.encoder)

    def _take_steps(self, stop: StopRequest) -> dict[str, float]:
        """Take the steps that are left; return the figures of the last row."""
        last: dict[str, float] = {}
        note: dict[str, float] = {}
        save = partial(save_checkpoint, self.run / "checkpoints", self.learner, self.settings.checkpoints)
        clock, advice, saved = _Clock(), _Advice(self.trainable, self.progress), 0.0
        for number, batch in enumerate(self._batches()):
            if number == 0:
                self._say_estimate(batch)
                clock.restart()
                saved = time.monotonic()
            figures = self._take_step(batch)
            clock.count(self.settings.batch_size)
            looking, stopping = self._looks(), self._any_asks(stop.signal is not None)
            late = self._any_asks(time.monotonic() - saved > 60 * self.settings.checkpoint_minutes)
            saving = stopping or late or self.step % self.settings.checkpoint_steps == 0 or self.step == self.steps
            if saving or looking or self.step % self.settings.log_steps == 0:
                note = last = self._log(figures, clock.rate())
                clock.restart()
                advice.hear(last, self.step, self.steps)
            elif self.processes.device.type == "cpu":  # elsewhere, reading the figures of a step would wait for it
                note = {**{name: float(value) for name, value in figures.items()}, "images/s": clock.rate()}
            self.progress.advance(note=" ".join(f"{name} {value:.3g}" for name, value in note.items()))
            if looking:
                self.processes.on_rank_zero(lambda: self._look(cast(Monitor, self.monitor)))
            if saving:
                self.processes.on_rank_zero(save)
                saved = time.monotonic()
            if looking or saving:
                clock.restart()
            if stopping and self.step < self.steps:
                self.progress.say(
                    f"stopped: step {self.step:,} of {self.steps:,} is kept in {self.run}; --resume goes on from there"
                )
                stop.end()
        return last

    def _batches(self) -> Iterator[dict[str, Tensor]]:
        """Each process reads its share of every batch, and draws the pairs of its own faces."""
        rank, world = self.processes.rank, self.processes.world
        s = self.settings
        order = batches(len(self.faces), s.batch_size, s.seed, self.step, self.steps, self.faces.weights)
        reads = (
            (faces[rank::world], pair_generator(s.seed, step, rank)) for step, faces in enumerate(order, self.step)
        )
        return read_ahead(self.faces, reads, self.processes.device)

    def _say_estimate(self, batch: Mapping[str, Tensor]) -> None:
        """Say how long the run will take: try the gradients of its first batch, twice as the first warms up.

        Nothing of it stays: the weights do not move, and buffers, such as queues and running means, come back.
        """
        buffers = [(buffer, buffer.clone()) for buffer in self.learner.method.buffers()]
        for _ in range(2):
            began = time.monotonic()
            float(self._gradients(batch)["loss"])  # waits for a GPU
            seconds = (time.monotonic() - began) * (self.steps - self.step)
        self.optimizer.zero_grad(set_to_none=True)
        for buffer, value in buffers:
            buffer.copy_(value)
        if seconds > _WORTH_SAYING_S:
            hint = f"; shorter with {self.shorter}" if self.shorter and seconds > _LONG_S else ""
            self.progress.say(f"about {duration(seconds)} for {self.steps - self.step:,} steps{hint}")

    def _take_step(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        s = self.settings
        rate = learning_rate(self.step, self.steps, s.lr, s.warmup, s.milestones)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        figures = self._gradients(batch)
        if s.clip is not None:
            figures["gradient"] = self.accelerator.clip_grad_norm_(self.learner.method.parameters(), s.clip)
        # With fp16 this leaves the weights alone where a gradient is not finite, and lowers the scale of the next.
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.learner.step += 1
        self.trainable.after_step(self.step / self.steps)
        if self.average is not None:
            self.average.update(self.trainable.backbone, self.step)
        return figures

    def _gradients(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Sum the gradients over the passes; return the passes' mean figures."""
        rank, passes = self.processes.rank, self.settings.accumulate
        generator = step_generator(self.settings.seed, self.step, rank)
        # What networks draw themselves, such as dropout, so that it follows from the step as well.
        torch.manual_seed(step_seed(self.settings.seed, self.step, rank, use=2))
        passed: list[dict[str, Tensor]] = []
        parts = {name: tensor.chunk(passes) for name, tensor in batch.items()}
        for number in range(passes):
            views = self.trainable.views({name: chunks[number] for name, chunks in parts.items()}, generator)
            with nullcontext() if number == passes - 1 else self.accelerator.no_sync(self.model):
                figures: dict[str, Tensor] = self.model(views)  # under accelerate's autocast
                self.accelerator.backward(figures["loss"] / passes)
            passed.append({name: value.detach() for name, value in figures.items()})
        return {name: torch.stack([figures[name] for figures in passed]).mean(0) for name in passed[0]}

    def _any_asks(self, asked: bool) -> bool:
        """Whether any process asks, at steps at which several can agree without slowing down."""
        if self.processes.world == 1:
            return asked
        return self.step % self.settings.log_steps == 0 and self.processes.any(asked)

    def _looks(self) -> bool:
        every = self.settings.monitor.every if self.monitor else 0
        return every > 0 and (self.step == self.steps or self.step % max(1, round(every * self.steps_an_epoch)) == 0)

    def _log(self, figures: Mapping[str, Tensor], rate: float) -> dict[str, float]:
        mean = {name: float(self.accelerator.reduce(value.float(), "mean")) for name, value in figures.items()}
        self._require_finite(mean)
        row = {**mean, "images/s": rate}
        self._record(self.metrics, {"lr": float(self.optimizer.param_groups[0]["lr"]), **row})
        return row

    def _require_finite(self, figures: Mapping[str, float]) -> None:
        scaler = self.learner.scaler
        # An infinite gradient norm is fp16's overflow, which the scaler deals with.
        if not all(math.isfinite(value) for name, value in figures.items() if not (scaler and name == "gradient")):
            raise TrainingError(
                f"the loss is not finite at step {self.step}; lower lr (now {self.settings.lr:g}), or set clip=1, and "
                "start anew, or --resume from the last good checkpoint"
            )
        if scaler and scaler.get_scale() < _SMALLEST_SCALE:
            raise TrainingError(f"the gradients overflow fp16 again and again by step {self.step}; set precision=bf16")

    def _record(self, file: MetricsFile | None, figures: Mapping[str, float]) -> None:
        if file:
            rounded = {name: f"{value:.6g}" for name, value in figures.items()}
            file.append({"step": self.step, "epoch": f"{self.step / self.steps_an_epoch:.3f}", **rounded})
        if self.settings.trackers:
            self.accelerator.log(dict(figures), step=self.step)

    def _look(self, monitor: Monitor) -> None:
        was_training = self.encoder.training
        self.encoder.eval()
        try:
            figures = monitor(self.encoder, self.step)
        finally:
            self.encoder.train(was_training)
        self._record(self.looks, figures)
        self.progress.say(f"step {self.step}: " + ", ".join(f"{name} {value:.3g}" for name, value in figures.items()))
        data = self.settings.monitor.data
        if (value := figures.get(BEST_BY)) is not None and value > best_value(self.run / "checkpoints", data):
            save_best(self.run / "checkpoints", self.learner, value, data)


@contextmanager
def _training_errors(settings: TrainSettings) -> Iterator[None]:
    """Turn what torch says of too little memory, or of a failed compilation, into what to do about it."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        text = str(error).lower()
        short = any(words in text for words in ("out of memory", "can't allocate memory", "not enough memory"))
        if short or isinstance(error, torch.OutOfMemoryError | MemoryError):
            raise TrainingError(
                f"out of memory with batches of {settings.batch_size} faces in {settings.accumulate} passes; "
                f"raise accumulate to {2 * settings.accumulate}, or lower batch_size or views.size"
            ) from error
        if settings.compile and type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise TrainingError(
                f"torch.compile fails here ({' '.join(str(error).split())[:200]}); set compile=false"
            ) from error
        raise


class _Clock:
    """Images a second since it was last restarted."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.images, self.since = 0, time.monotonic()

    def count(self, images: int) -> None:
        self.images += images

    def rate(self) -> float:
        return self.images / max(time.monotonic() - self.since, 1e-9)


class _Advice:
    """Passes a method's advice on: from a tenth of the run on, when it is twice as far as before, and at its end."""

    def __init__(self, method: Trainable, progress: Progress) -> None:
        self.method, self.progress = method, progress
        self.rows: deque[Mapping[str, float]] = deque(maxlen=_ROWS_OF_ADVICE)
        self.silent_until = 0

    def hear(self, row: dict[str, float], step: int, steps: int) -> None:
        self.rows.append(row)
        early = len(self.rows) < _ROWS_OF_ADVICE or step < max(steps / 10, self.silent_until)
        if early and step < steps:
            return
        if words := self.method.advice(self.rows):
            self.progress.say(f"step {step:,}: {words}")
            self.silent_until = 2 * step
