"""The learning rate and the order of the faces, both as functions of the step: nothing to store, nothing to lose."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from ferkit.ops.schedules import warmup_cosine


def learning_rate(
    step: int, steps: int, peak: float, warmup: float, milestones: Sequence[tuple[float, float]] | None = None
) -> float:
    """Linear warm-up, then half a cosine to zero, or one level after the other.

    Args:
        step: 0 for the first.
        steps: of the whole run.
        peak: highest rate.
        warmup: share of the steps that rise.
        milestones: (share of the steps, factor of the peak from there on), rising; the peak itself before the first.
    """
    if milestones is None:
        return peak * warmup_cosine(step, steps, warmup)
    passed = [factor for share, factor in milestones if step >= round(share * steps)]
    rising = round(warmup * steps)
    return peak * (passed[-1] if passed else 1) * min(1, (step + 1) / max(1, rising))


def batches(
    count: int, batch_size: int, seed: int, first: int, last: int, weights: NDArray[np.float64] | None = None
) -> Iterator[NDArray[np.int64]]:
    """Yield the faces of steps ``first`` to ``last`` - 1: each epoch a new order, its incomplete batch left out.

    Args:
        count: faces in all, at least ``batch_size``.
        batch_size: faces a step.
        seed: of the run.
        first: step to begin with; the steps before it are skipped, not replayed.
        last: step to stop before.
        weights: (count,) >= 0, how often each face is drawn relative to the others; None draws each once an epoch.
    """
    per_epoch = count // batch_size
    for epoch in range(first // per_epoch, math.ceil(last / per_epoch)):
        order = _epoch_order(count, weights, np.random.default_rng([seed, epoch]))
        for step in range(max(first, epoch * per_epoch), min(last, (epoch + 1) * per_epoch)):
            start = (step - epoch * per_epoch) * batch_size
            yield order[start : start + batch_size]


def _epoch_order(count: int, weights: NDArray[np.float64] | None, random: np.random.Generator) -> NDArray[np.int64]:
    """``count`` faces, each as often as its weight asks, rounded up or down by chance.

    The faces stand on a line, each as long as its weight, and evenly spaced marks choose them: chance decides less
    than where every draw is independent, and equal weights give each face once.
    """
    order = random.permutation(count)
    if weights is None:
        return order
    ends = weights[order].cumsum()
    marks = (np.arange(count) + random.random()) * (ends[-1] / count)
    return random.permutation(order[ends.searchsorted(marks, side="right").clip(max=count - 1)])


def step_seed(seed: int, step: int, rank: int = 0, use: int = 0) -> int:
    """A number below 2**63 that depends on the run's seed, the step, the process and what it is for alone."""
    return int(np.random.SeedSequence([seed, step, rank, use]).generate_state(1, np.uint64)[0]) >> 1


def step_generator(seed: int, step: int, rank: int = 0) -> torch.Generator:
    """A generator of this seed, on the CPU."""
    return torch.Generator().manual_seed(step_seed(seed, step, rank))


def pair_generator(seed: int, step: int, rank: int = 0) -> np.random.Generator:
    """The source of what a process draws while it reads a step's faces, apart from all that `step_seed` decides."""
    return np.random.default_rng([seed, step, rank, 1])  # zeros at the end would change nothing
