"""The pictures of a probe as functions of plain values, in colours and shapes that colour-blind readers tell apart."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, cycle

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, PercentFormatter
from numpy.typing import NDArray

from ferkit.evaluation.classification import Classification
from ferkit.evaluation.occlusion import OcclusionMap

_INK, _SOFT, _EDGE = "#1c1f26", "#6b7480", "#d9dce3"

# Tol's "muted" scheme (personal.sron.nl/~pault) with a stronger sand: told apart with any colour vision.
_COLOURS = ("#332288", "#ddaa33", "#117733", "#cc6677", "#88ccee", "#882255", "#999933", "#44aa99", "#aa4499")
_SHAPES = "osD^vPXph"
_OTHERS = "#c9cdd4"
_MOST_PEOPLE = 9
_FEW = 30  # points of a curve that are drawn as such
_DROP = "RdBu_r"

_DPI, _LEGEND = 120, 36
_LEAST_WIDTH = 6.4
"""Inches, in which the lines above the axes have room."""

_TITLE, _TEXT, _SMALL = 11, 9, 8


@dataclass(frozen=True)
class Curve:
    """Accuracy that grows with the labels: equally many label counts, values and 95 % intervals (or None)."""

    name: str
    labels: Sequence[int]
    accuracy: Sequence[float]
    intervals: Sequence[tuple[float, float] | None]


def draw_confusion(result: Classification, title: str, below: str) -> Figure:
    """Draw what faces of each class were called: the share of the row as shade and number, the faces below it.

    Classes that no face has are columns without a row; faces without an answer make a column of their own.
    """
    rows = [row for row, counts in enumerate(result.confusion) if sum(counts) + result.unanswered[row]]
    columns = list(result.classes)
    counts = np.array([result.confusion[row] for row in rows])
    if any(result.unanswered):
        columns.append("no face")
        counts = np.column_stack([counts, [result.unanswered[row] for row in rows]])
    faces = counts.sum(axis=1, keepdims=True)
    figure = _figure(max(_LEAST_WIDTH, 2.6 + 0.72 * len(columns)), 1.9 + 0.6 * len(rows))
    axes = figure.subplots()
    axes.imshow(counts / faces, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor", fontsize=_TEXT)
    names = [f"{result.classes[row]} ({total:,})" for row, total in zip(rows, faces[:, 0].tolist(), strict=True)]
    axes.set_yticks(range(len(rows)), names, fontsize=_TEXT)
    axes.set_xlabel("called", fontsize=_TEXT, color=_SOFT)
    axes.set_ylabel("is (faces)", fontsize=_TEXT, color=_SOFT)
    for (row, column), times in np.ndenumerate(counts):
        share = times / faces[row, 0]
        ink = "white" if share > 0.55 else _INK if times else _OTHERS
        axes.text(column, row - 0.12, f"{share:.0%}", ha="center", va="center", color=ink, fontsize=_TEXT)
        axes.text(column, row + 0.24, f"{times:,}", ha="center", va="center", color=ink, fontsize=6.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    _head(axes, title, below)
    return figure


def draw_few_labels(curves: Sequence[Curve], title: str, chance: float | None = None) -> Figure:
    """Draw accuracy against the number of training labels, one curve an encoder, 95 % intervals as bars."""
    figure = _figure(6.4, 4.4)
    axes = figure.subplots()
    for number, (curve, colour, shape) in enumerate(zip(curves, cycle(_COLOURS), cycle(_SHAPES), strict=False)):
        # A little apart, so that the bars of several encoders do not hide one another.
        places = np.asarray(curve.labels) * 1.03 ** (number - (len(curves) - 1) / 2)
        axes.plot(places, curve.accuracy, color=colour, marker=shape, markersize=5, linewidth=1.6, label=curve.name)
        for x, interval in zip(places, curve.intervals, strict=True):
            if interval is not None:
                axes.plot([x, x], interval, color=colour, linewidth=1.2, marker="_", markersize=6)
    if chance is not None:
        axes.axhline(chance, color=_SOFT, linewidth=1, linestyle=(0, (4, 3)), label="chance")
    ticks = sorted({labels for curve in curves for labels in curve.labels})
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{labels:,}" for labels in ticks], fontsize=_TEXT)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", length=0)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.tick_params(labelsize=_TEXT, color=_EDGE)
    axes.grid(axis="y", color=_EDGE, linewidth=0.6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel("training labels", fontsize=_TEXT, color=_SOFT)
    axes.set_ylabel("accuracy", fontsize=_TEXT, color=_SOFT)
    axes.legend(fontsize=_SMALL, frameon=False, loc="best")
    _head(axes, title, "bars: 95 % interval")
    return figure


def draw_projection(
    points: NDArray[np.floating], labels: Sequence[str | None], identities: Sequence[str | None], title: str
) -> Figure:
    """Draw (N, 2) points twice: coloured by expression at the left, by identity at the right.

    Of the people, those with the most faces have a colour each. Where nobody is known, the expressions stand alone.
    """
    has_people = any(name is not None for name in identities)
    figure = _figure(12.6 if has_people else 6.6, 7.0)
    axes = figure.subplots(1, 2 if has_people else 1, squeeze=False)[0]
    _scatter(axes[0], points, labels, [name for name, _ in _counts(labels)], "no label")
    _head(axes[0], title, "coloured by expression")
    if has_people:
        people = [name for name, faces in _counts(identities)[:_MOST_PEOPLE] if faces > 1]
        _scatter(axes[1], points, identities, people, f"{len(set(identities) - {None, *people}):,} others")
        some = f": the {len(people)} people with the most faces" if set(identities) - {*people} else ""
        _head(axes[1], "", f"coloured by identity{some}")
    return figure


def draw_occlusion(maps: Mapping[str, OcclusionMap], faces: Mapping[str, NDArray[np.floating]], title: str) -> Figure:
    """Draw what covering a region costs the true class, one panel a class, over its (H, W) gray face in [0, 255]."""
    columns = min(4, len(maps))
    rows = -(-len(maps) // columns)
    figure = _figure(1.2 + 2.3 * columns, 0.55 + 2.75 * rows)
    figure.suptitle(f"{title}\n", fontsize=_TITLE, color=_INK, x=0.02, ha="left")
    panels = figure.subplots(rows, columns, squeeze=False)
    most = max(float(np.abs(occlusion.drop).max()) for occlusion in maps.values()) or 1.0
    for axes in panels.flat:
        axes.set_axis_off()
    for axes, (name, occlusion) in zip(panels.flat, maps.items(), strict=False):
        axes.imshow(faces[name], cmap="gray", vmin=0, vmax=255)
        strength = np.abs(occlusion.drop) / most
        axes.imshow(occlusion.drop, cmap=_DROP, vmin=-most, vmax=most, alpha=0.75 * strength**0.7)
        axes.set_title(name, fontsize=_TEXT + 1, color=_INK, pad=14)
        text = f"{occlusion.faces} faces, p = {occlusion.probability:.2f}"
        axes.text(0.5, 1.02, text, transform=axes.transAxes, ha="center", va="bottom", fontsize=_SMALL, color=_SOFT)
    bar = figure.colorbar(ScalarMappable(Normalize(-most, most), _DROP), ax=panels, shrink=0.7, aspect=28, pad=0.02)
    bar.set_label("probability of the true class that is lost\nwhere the face is covered", fontsize=_SMALL, color=_SOFT)
    bar.ax.tick_params(labelsize=_SMALL)
    bar.outline.set_visible(False)
    return figure


def draw_training(figures: Mapping[str, Sequence[tuple[int, float]]], title: str) -> Figure:
    """Draw what a run of pre-training logged, a panel a figure: (step, value) pairs, the loss first."""
    names = sorted(figures, key=lambda name: (name != "loss", name in ("lr", "images/s"), name))
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = _figure(max(_LEAST_WIDTH, 3.2 * columns), 0.5 + 2.2 * rows)
    figure.suptitle(title, fontsize=_TITLE, color=_INK, x=0.02, ha="left")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for name, axes in zip(names, panels, strict=False):
        steps, values = zip(*figures[name], strict=True)
        axes.plot(steps, values, color=_COLOURS[0], linewidth=1.4, marker="." if len(steps) < _FEW else None)
        axes.set_title(name, loc="left", fontsize=_TEXT, color=_INK)
        axes.set_xlabel("step", fontsize=_SMALL, color=_SOFT)
        axes.tick_params(labelsize=_SMALL, color=_EDGE)
        axes.grid(axis="y", color=_EDGE, linewidth=0.6)
        axes.spines[["top", "right", "left"]].set_visible(False)
    for axes in panels:
        axes.set_axis_off()
    return figure


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained", facecolor="white")


def _scatter(
    axes: Axes, points: NDArray[np.floating], names: Sequence[str | None], coloured: Sequence[str], rest: str
) -> None:
    """Draw the points of each coloured name in a colour and a shape of its own, all others in gray behind them."""
    groups = np.array([name if name in coloured else "" for name in names])
    size = float(np.clip(12000 / len(points), 24, 50))
    others = points[groups == ""]
    if len(others):
        axes.scatter(others[:, 0], others[:, 1], s=7, color=_OTHERS, linewidths=0, label=rest)
    for name, colour, shape in zip(coloured, cycle(_COLOURS), _shapes(), strict=False):
        own = points[groups == name]
        label = f"{_short(name, 24)} ({len(own):,})"
        axes.scatter(
            own[:, 0], own[:, 1], s=size, color=colour, marker=shape, edgecolors="white", linewidths=0.3, label=label
        )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(_EDGE)
    axes.set_aspect("equal", adjustable="datalim")
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, -0.01),
        ncols=3,
        fontsize=_SMALL,
        frameon=False,
        handletextpad=0.2,
        markerscale=(_LEGEND / size) ** 0.5,
    )


def _shapes() -> Iterator[str]:
    """Yield shapes, shifted by one with each round of the colours, so that no pair of both comes twice."""
    for turn in count():
        yield from (_SHAPES[(place + turn) % len(_SHAPES)] for place in range(len(_COLOURS)))


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _head(axes: Axes, title: str, below: str) -> None:
    """Write a title and a soft line below it, at the left above the axes."""
    axes.set_title(title, loc="left", fontsize=_TITLE, color=_INK, pad=22)
    line = axes.annotate(
        below, (0, 1), (0, 7), xycoords="axes fraction", textcoords="offset points", fontsize=_SMALL, color=_SOFT
    )
    line.set_in_layout(False)  # a long line must not make the axes small


def _counts(names: Sequence[str | None]) -> list[tuple[str, int]]:
    """Return the names and how often each occurs, the most frequent first, then by the alphabet."""
    counts = Counter(name for name in names if name is not None)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
