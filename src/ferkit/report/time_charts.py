"""Curves over the time of a video: a score with its moments, and the probabilities of the classes, stacked."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, PercentFormatter
from numpy.typing import NDArray

from ferkit.report.pages import clock
from ferkit.search.moment_settings import MomentSettings
from ferkit.search.moments import smoothed, stretches

_INK, _SOFT, _EDGE, _DOT = "#1c1f26", "#6b7480", "#d9dce3", "#9aa3b5"
_ACCENT, _CURVE = "#cc6677", "#332288"
_DPI, _TITLE, _TEXT, _SMALL = 120, 11, 9, 8
# Tol's "muted" scheme, as in `ferkit.report.charts`; neutral is pale, so that what is not stands out.
_COLOURS = {
    "neutral": "#dddddd",
    "happiness": "#ddaa33",
    "sadness": "#332288",
    "surprise": "#88ccee",
    "fear": "#117733",
    "disgust": "#999933",
    "anger": "#cc6677",
    "contempt": "#882255",
}
_NAMED_FROM = 0.5
_NAMED_SHARE = 0.05  # of the time, in which a name has room
_WIDTH, _PANEL_HEIGHT, _HEAD_HEIGHT = 11.0, 1.5, 0.9


class Mark(NamedTuple):
    """A moment on a curve: its number and its times in seconds."""

    rank: int
    onset_s: float
    apex_s: float
    offset_s: float


@dataclass(frozen=True)
class ScoreCurve:
    """The score of one clip over time."""

    name: str  # of the clip
    times: NDArray[np.float64]  # (N,) seconds, rising
    scores: NDArray[np.float64]  # (N,) of the frames
    smooth: NDArray[np.float64]  # (N,) smoothed
    marks: Sequence[Mark]  # moments of the clip


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


@dataclass(frozen=True)
class Stretch:
    """The classes of one followed face."""

    name: str  # written above it
    times: NDArray[np.float64]  # (N,) seconds, rising
    shares: NDArray[np.float64]  # (N, C) probabilities; rows sum to 1


@dataclass(frozen=True)
class Lane:
    """Faces in one panel, of which no two are seen at the same time: one person, or a video's one after the other."""

    title: str  # written above the panel
    stretches: Sequence[Stretch]  # the faces, by time
    end_s: float  # when the video ends, in seconds

    @property
    def frames(self) -> int:
        """How many frames show a face."""
        return sum(len(face.times) for face in self.stretches)


def draw_timeline(lanes: Sequence[Lane], classes: Sequence[str], title: str, settings: MomentSettings) -> Figure:
    """Draw the probabilities of the classes over time, stacked, one panel a lane; white where no face was seen.

    A class is named where it is above a half for longest, so that no colour need be known.

    Args:
        lanes: at least one, with at least one frame each.
        classes: C names, from the bottom up.
        title: one line at the top.
        settings: how the probabilities are smoothed, and what is a gap.
    """
    height = 1.2 + 1.7 * len(lanes)
    figure = Figure(figsize=(_WIDTH, height), dpi=_DPI, layout="constrained", facecolor="white")
    figure.suptitle(title, fontsize=_TITLE, color=_INK, x=0.01, ha="left")
    panels = figure.subplots(len(lanes), 1, squeeze=False)[:, 0]
    for axes, lane in zip(panels, lanes, strict=True):
        longest: dict[str, tuple[float, float, float]] = {}
        for face in lane.stretches:
            for place in stretches(face.times, settings.gap):
                _stack(axes, face.times[place], face.shares[place], classes, settings, longest)
            if face.times[-1] - face.times[0] < _NAMED_SHARE * lane.end_s:
                continue
            note = axes.annotate(face.name, (face.times[0], 1), (0, 3), xycoords=("data", "axes fraction"))
            note.set(fontsize=_SMALL, color=_SOFT, anncoords="offset points")
        for name, (seconds, time, middle) in longest.items():
            if seconds >= _NAMED_SHARE * lane.end_s:
                label = axes.text(time, middle, name, ha="center", va="center", fontsize=_SMALL, color=_INK)
                label.set_path_effects([withStroke(linewidth=2, foreground="white")])
        _over_time(axes, lane.title, np.array([0.0, lane.end_s]))
        axes.set_ylim(0, 1)
        axes.grid(visible=False)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    handles = [Patch(color=colour, label=name) for name, colour in zip(classes, _stack_colours(classes), strict=True)]
    figure.legend(handles=handles[::-1], loc="outside right upper", fontsize=_SMALL, frameon=False)
    panels[-1].set_xlabel("time", fontsize=_TEXT, color=_SOFT)
    return figure


def _stack(
    axes: Axes,
    times: NDArray[np.float64],
    shares: NDArray[np.float64],
    classes: Sequence[str],
    settings: MomentSettings,
    longest: dict[str, tuple[float, float, float]],
) -> None:
    """Draw one stretch without a gap, and note for each class its longest time above a half: seconds, and where."""
    smooth = np.stack([smoothed(times, column, settings) for column in shares.T])
    if len(times) == 1:  # a frame alone is drawn as long as it may have been shown
        times, smooth = times + np.array([-0.02, 0.02]), smooth.repeat(2, axis=1)
    tops = smooth.cumsum(axis=0)
    axes.stackplot(times, smooth, colors=_stack_colours(classes), edgecolor="white", linewidth=0.4)
    for name, band, top in zip(classes, smooth, tops, strict=True):
        edges = np.flatnonzero(np.diff(np.pad((band > _NAMED_FROM).astype(int), 1)))
        for first, last in zip(edges[::2], edges[1::2] - 1, strict=True):
            seconds, middle = float(times[last] - times[first]), (first + last) // 2
            if seconds > longest.get(name, (0.0,))[0]:
                longest[name] = seconds, float(times[middle]), float(top[middle] - band[middle] / 2)


def _stack_colours(classes: Sequence[str]) -> list[str]:
    others = cycle(_COLOURS.values())
    return [_COLOURS.get(name) or next(others) for name in classes]
