"""Moments: where a score that is followed over time rises and falls again."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ferkit.errors import InputError
from ferkit.search.moment_settings import MomentSettings

Doubles = NDArray[np.float64]

_KERNEL = 4.0
"""Standard deviations at which the Gaussian ends."""

_MISSED = 2.5
"""Usual steps between frames that are no gap, whatever `MomentSettings.gap` says."""


@dataclass(frozen=True)
class Moment:
    """One rise and fall of a score."""

    # when the score has risen half of the way from the valley before; where it was high from the beginning on, when the
    # face is first seen
    onset_s: float
    apex_s: float  # when the best frame about the highest smoothed score is shown
    offset_s: float  # when it has fallen half of the way to the valley behind, or the face is last seen
    score: float  # the smoothed score at its highest
    place: int  # of the apex among the times that were searched


def find_moments(
    times: ArrayLike, scores: ArrayLike, settings: MomentSettings | None = None, *, least: float = -math.inf
) -> list[Moment]:
    """Find the moments of one face that is followed through one clip.

    The score is smoothed within each stretch without a gap. A moment is a peak (scipy.signal.find_peaks) that stands
    out by ``settings.prominence`` from the valleys beside it; the ends of a stretch count as valleys, so that an
    expression which is there from the first frame on, or until the last, is found.

    Args:
        times: (N,) seconds, rising; steps may vary.
        scores: (N,) of the frames at these times, in any unit, finite.
        settings: what counts as a moment.
        least: smoothed score that a moment must reach.

    Returns:
        The moments, by time; none overlaps another.

    Raises:
        InputError: times and scores are not two equally long rows, or the times do not rise.
    """
    settings = settings or MomentSettings()
    when, values = _checked(times, scores)
    return [
        moment
        for stretch in stretches(when, settings.gap)
        for moment in _moments_of_stretch(when[stretch], values[stretch], settings, least, stretch.start)
        if moment.offset_s - moment.onset_s >= settings.shortest
    ]


def smoothed(times: ArrayLike, scores: ArrayLike, settings: MomentSettings | None = None) -> Doubles:
    """Return the (N,) scores as `find_moments` smooths them: nothing passes over a gap.

    Each is the mean of the scores about it, weighted by a Gaussian of their distance in time.
    """
    settings = settings or MomentSettings()
    when, values = _checked(times, scores)
    parts = [_gaussian(when[stretch], values[stretch], settings.smooth) for stretch in stretches(when, settings.gap)]
    return np.concatenate(parts) if parts else values


def _checked(times: ArrayLike, scores: ArrayLike) -> tuple[Doubles, Doubles]:
    when, values = np.asarray(times, np.float64), np.asarray(scores, np.float64)
    if when.ndim != 1 or when.shape != values.shape:
        raise InputError(f"times and scores must be two rows of one length, not {when.shape} and {values.shape}")
    if not (np.isfinite(when).all() and np.isfinite(values).all() and (np.diff(when) > 0).all()):
        raise InputError("times must rise, and they and the scores must be finite numbers")
    return when, values


def stretches(times: Doubles, gap: float) -> Iterator[slice]:
    """Yield the runs of (N,) rising times in which no frame is missing for longer than ``gap`` seconds.

    Where frames are usually further apart than that, a step of 2.5 times the usual one still is no gap.
    """
    if not len(times):
        return
    steps = np.diff(times)
    longest = max(gap, _MISSED * float(np.median(steps))) if len(steps) else gap
    ends = [0, *(np.flatnonzero(steps > longest) + 1).tolist(), len(times)]
    for first, end in pairwise(ends):
        yield slice(first, end)


def _gaussian(times: Doubles, scores: Doubles, deviation: float) -> Doubles:
    if deviation == 0:
        return scores
    reach = _KERNEL * deviation
    first, end = np.searchsorted(times, times - reach), np.searchsorted(times, times + reach, side="right")
    means = np.empty_like(scores)
    for place, (low, high) in enumerate(zip(first, end, strict=True)):
        weights = np.exp(-0.5 * ((times[low:high] - times[place]) / deviation) ** 2)
        means[place] = weights @ scores[low:high] / weights.sum()
    return means


def _moments_of_stretch(
    times: Doubles, scores: Doubles, settings: MomentSettings, least: float, offset: int
) -> Iterator[Moment]:
    from scipy.signal import find_peaks

    smooth = _gaussian(times, scores, settings.smooth)
    valley = smooth.min() - max(settings.prominence, 1e-9)
    found, _ = find_peaks(np.pad(smooth, 1, constant_values=valley), height=least, prominence=settings.prominence)
    peaks = _apart((found - 1).tolist(), smooth, settings.prominence)
    if not peaks:
        return
    bounds = [0, *(low + int(smooth[low:high].argmin()) for low, high in pairwise(peaks)), len(times) - 1]
    for peak, (first, last) in zip(peaks, pairwise(bounds), strict=True):
        rise = _half_way(times, smooth, range(peak, first - 1, -1), settings.prominence)
        fall = _half_way(times, smooth, range(peak, last + 1), settings.prominence)
        best = _best_frame(times, scores, peak, (rise, fall), settings.smooth)
        yield Moment(rise, float(times[best]), fall, float(smooth[peak]), offset + best)


def _apart(peaks: list[int], smooth: Doubles, prominence: float) -> list[int]:
    """Keep one of peaks that no valley parts: equally high ones, to which SciPy gives one prominence."""
    kept: list[int] = []
    for peak in peaks:
        if kept and min(smooth[kept[-1]], smooth[peak]) - smooth[kept[-1] : peak].min() < prominence:
            kept[-1] = max(kept[-1], peak, key=lambda place: float(smooth[place]))
        else:
            kept.append(peak)
    return kept


def _half_way(times: Doubles, smooth: Doubles, walk: range, prominence: float) -> float:
    """When, on the way from a peak to where its moment may end, half of the height is lost; that end if never.

    A way that loses less than the prominence leads to the edge of the stretch, and is the moment's plateau.
    """
    heights = smooth[list(walk)]
    height, floor = heights[0], heights.min()
    if height - floor < prominence or height == floor:
        return float(times[walk[-1]])
    level = (height + floor) / 2
    step = int((heights <= level).argmax())
    before, after = walk[step - 1], walk[step]
    share = (smooth[before] - level) / (smooth[before] - smooth[after])
    return float(times[before] + share * (times[after] - times[before]))


def _best_frame(times: Doubles, scores: Doubles, peak: int, ends: tuple[float, float], deviation: float) -> int:
    near = (np.abs(times - times[peak]) <= deviation) & (times >= ends[0]) & (times <= ends[1])
    near[peak] = True
    return int(np.where(near, scores, -math.inf).argmax())
