"""How far a figure may lie from what it would be on other people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.evaluation.rows import numbered_groups

RESAMPLES = 2000
"""A ferkit default."""

Statistic = Callable[[NDArray[np.int64]], float]
"""A figure of some rows, given by their numbers, with repeats; NaN where these rows do not define it."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure and the 95 % interval about it.

    ``groups`` is how many people, or images, were drawn anew.
    """

    value: float
    low: float
    high: float
    groups: int


def bootstrap_interval(
    statistic: Statistic, identities: Sequence[str | None], *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Draw people anew, each with all of their rows, and take the middle 95 % of what the figure becomes.

    The percentile interval of Efron (Annals of Statistics 7, 1979), over clusters: pictures of one person are alike,
    and drawing them one by one would claim too much. Resamples that do not define the figure drop out.

    Args:
        statistic: the figure.
        identities: of the N rows; a row of None is drawn by itself, so that all None is a bootstrap over images.
        resamples: how many times to draw.
        seed: of the draws; equal seeds draw equal people.

    Raises:
        InputError: there are fewer than two people, or the rows do not define the figure.
    """
    groups = numbered_groups(identities)
    _, groups = np.unique(groups, return_inverse=True)
    count = int(groups.max()) + 1 if len(groups) else 0
    if count < 2:
        raise InputError(f"an interval needs people to draw from, and there are {count}; give faces of at least two")
    rows, random = np.arange(len(groups)), np.random.default_rng(seed)
    value = statistic(rows)
    if np.isnan(value):
        raise InputError(f"these {len(rows)} rows do not define the figure; give rows whose values differ")
    draws = (np.bincount(random.integers(count, size=count), minlength=count) for _ in range(resamples))
    values = np.array([statistic(np.repeat(rows, times[groups])) for times in draws])
    low, high = np.percentile(values[~np.isnan(values)], (2.5, 97.5))
    return Interval(float(value), float(low), float(high), count)


def paired_interval(
    first: Statistic, second: Statistic, identities: Sequence[str | None], *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Return the difference ``first - second`` of two figures of the same rows, by the same draws of people.

    What makes some people hard for both cancels out, so that it is much narrower than two intervals side by side; an
    interval that leaves out 0 tells the two apart. Arguments and errors as `bootstrap_interval`.
    """
    return bootstrap_interval(lambda rows: first(rows) - second(rows), identities, resamples=resamples, seed=seed)
