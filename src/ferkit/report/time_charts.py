"""Curves over the time of a video: a score with its moments, and the probabilities of the classes, stacked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from ferkit.search.moments import stretches

__all__ = ["Mark", "ScoreCurve", "draw_moments"]

_INK, _SOFT, _EDGE, _DOT = "#1c1f26", "#6b7480", "#d9dce3", "#9aa3b5"
_ACCENT, _CURVE = "#cc6677", "#332288"
_DPI, _TITLE, _TEXT, _SMALL = 120, 11, 9, 8
_WIDTH, _PANEL_HEIGHT, _HEAD_HEIGHT = 11.0, 1.5, 0.9


class Mark(NamedTuple):
    """A moment on a curve: its number and its times in seconds."""

    rank: int
    onset_s: float
    apex_s: float
    offset_s: float


@dataclass(frozen=True)
class ScoreCurve:
    """The score of one clip over time.

    Attributes:
        name: of the clip.
        times: (N,) seconds, rising.
        scores: (N,) of the frames.
        smooth: (N,) smoothed.
        marks: moments of the clip.
    """

    name: str
    times: NDArray[np.float64]
    scores: NDArray[np.float64]
    smooth: NDArray[np.float64]
    marks: Sequence[Mark]


def draw_moments(curves: Sequence[ScoreCurve], title: str, measure: str, gap: float, least: float) -> Figure:
    """Draw one panel a clip: the score of every frame as dots, the smoothed one as a line, moments shaded and numbered.

    Args:
        curves: at least one.
        title: one line at the top.
        measure: what the score is, such as ``probability``.
        gap: seconds without a frame that break the line, see `ferkit.search.moments.stretches`.
        least: score that a moment must reach, as a dashed line.
    """
    height = _HEAD_HEIGHT + _PANEL_HEIGHT * len(curves)
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained", facecolor="white")
    figure.suptitle(title, fontsize=_TITLE, color=_INK, x=0.01, ha="left")
    panels = figure.subplots(len(curves), 1, squeeze=False, sharey=True)[:, 0]
    for axes, curve in zip(panels, curves, strict=True):
        axes.plot(curve.times, curve.scores, ".", color=_DOT, markersize=3)
        for stretch in stretches(curve.times, gap):
            axes.plot(curve.times[stretch], curve.smooth[stretch], color=_CURVE, linewidth=1.4)
        axes.axhline(least, color=_SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
        for mark in curve.marks:
            axes.axvspan(mark.onset_s, mark.offset_s, color=_ACCENT, alpha=0.18, linewidth=0)
            height = np.interp(mark.apex_s, curve.times, curve.smooth)
            axes.plot(mark.apex_s, height, "v", color=_ACCENT, markersize=6)
            top = axes.annotate(str(mark.rank), (mark.apex_s, 1), (0, 2), xycoords=("data", "axes fraction"))
            top.set(ha="center", fontsize=_SMALL, color=_INK, anncoords="offset points")
        _over_time(axes, curve.name, curve.times)
    panels[-1].set_xlabel("time", fontsize=_TEXT, color=_SOFT)
    figure.supylabel(measure, fontsize=_TEXT, color=_SOFT)
    return figure


def _over_time(axes: Axes, name: str, times: NDArray[np.float64]) -> None:
    axes.set_title(name, loc="left", fontsize=_TEXT, color=_INK, pad=12)
    axes.set_xlim(times[0], max(times[-1], times[0] + 0.1))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: clock(seconds)))
    axes.tick_params(labelsize=_SMALL, color=_EDGE)
    axes.grid(axis="y", color=_EDGE, linewidth=0.6)
    axes.spines[["top", "right", "left"]].set_visible(False)


def clock(seconds: float) -> str:
    """``2.5 s`` below a minute, then ``1:02.5``, ``1:00:02.5``."""
    if seconds < 60:
        return f"{seconds:g} s"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    text = f"{rest:04.1f}".removesuffix(".0")
    return f"{hours}:{minutes:02d}:{text}" if hours else f"{minutes}:{text}"
