"""Pairs of faces of one clip: a positive shortly before or after an anchor, and a hard negative far from it.

TimeAug and HardNeg of SSL-FER (Shu et al., BMVC 2022, arXiv:2210.03853). Their frames are 0.24 s apart: positives two
to six frames away with weights 5 to 1, hard negatives from twelve frames on. Here both are in seconds, so that they
hold at any frame rate, and five sub-windows stand for the five offsets: at the authors' rate each holds one of them.
"""

from dataclasses import dataclass
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

Integers = NDArray[np.int64]

_TICKS = 1_000_000
"""A second in whole microseconds, in which 12 frames at 25 a second are 0.48 s and no rounding moves a window."""


class Windows(BaseModel):
    """How far apart the faces of a pair are, in seconds of their clip."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    nearest: float = Field(0.48, gt=0, description="least distance of a positive, in seconds")
    farthest: float = Field(1.44, description="largest distance of a positive, in seconds")
    weights: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = Field(
        (5, 4, 3, 2, 1), description="chances of the equal sub-windows from nearest to farthest, relative to each other"
    )
    hard: float = Field(2.88, description="least distance of a hard negative, in seconds")

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        distances = (self.nearest, self.farthest, self.hard)
        if not self.nearest < self.farthest < self.hard:
            listed = ", ".join(f"{distance:g}" for distance in distances)
            raise ValueError(f"nearest, farthest and hard must rise, unlike {listed} seconds")
        return self

    @property
    def least_apart(self) -> int:
        """``hard`` in whole microseconds: frames of a clip that are nearer are no negatives of each other."""
        return round(self.hard * _TICKS)

    def edges(self) -> Integers:
        """(sub-windows + 1,) microseconds where they begin; the last, where the first beyond them would."""
        edges = np.rint(np.linspace(self.nearest, self.farthest, len(self.weights) + 1) * _TICKS).astype(np.int64)
        edges[-1] += 1  # the farthest offset itself belongs to the last
        return edges


WINDOWS = Windows()


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """What can be drawn from a face set."""

    faces: int  # all rows
    untimed: int  # rows without a clip or a time, which are in no pair
    lonely: int  # rows of a clip that has no positive for them, which are in no pair
    clips: int  # clips that anchors come from
    short_clips: int  # those of them that have no hard negative for any anchor
    without_hard_negative: int  # anchors that have none, those of the short clips and others


@dataclass(frozen=True, slots=True)
class ClipPairs:
    """Rows drawn for (n,) anchors."""

    positive: Integers  # (n,) a positive of each anchor
    hard_negative: Integers  # (n,) a hard negative of each anchor; an anchor of another clip where it has none
    hard_positive: Integers  # (n,) a positive of each hard negative, which is an anchor too


class ClipWindows:
    """Draws pairs, anew at each call.

    Args:
        clip: (N,) number of each face's clip, -1 for none, in any order, see `ferkit.data.face_selection.codes`.
        time_s: (N,) seconds, in any order; NaN where unknown.
        windows: how far apart the faces of a pair are.

    Attributes:
        anchors: (A,) rows that have a positive, clip by clip and in the order of time.
        has_hard_negative: (A,) whether each has a hard negative, itself with a positive.
        moments: (N,) int64 microseconds of all rows, where different clips are further apart than ``windows.hard``.
        counts: what was left out.
    """

    def __init__(self, clip: Integers, time_s: NDArray[np.float64], windows: Windows = WINDOWS) -> None:
        self._edges, self._hard = windows.edges(), windows.least_apart
        self._weights = np.array(windows.weights, np.float64)
        timed = np.flatnonzero((clip >= 0) & np.isfinite(time_s))
        timed = timed[np.lexsort((time_s[timed], clip[timed]))]
        time = _one_after_another(clip[timed], time_s[timed], self._hard)
        # Distance is mutual: who has no positive is nobody's either, so that without them every face has one still.
        paired = _any_within(time, self._edges[0], self._edges[-1])
        self.anchors, self._time = timed[paired], time[paired]
        self.moments = (time[-1:].sum() + self._hard) + (self._hard + 1) * np.arange(1, len(clip) + 1)
        self.moments[timed] = time
        self._place = np.full(len(clip), -1, np.int64)
        self._place[self.anchors] = np.arange(len(self.anchors))
        _, first, sizes = np.unique(clip[self.anchors], return_index=True, return_counts=True)
        self._begin, self._end = (np.repeat(edge, sizes) for edge in (first, first + sizes))
        before, after = self._hard_negatives(np.arange(len(self.anchors)))
        self.has_hard_negative = before + after > 0
        hard_clips = np.add.reduceat(self.has_hard_negative, first, dtype=np.int64) if len(first) else first
        self.counts = WindowCounts(
            faces=len(clip),
            untimed=len(clip) - len(timed),
            lonely=len(timed) - len(self.anchors),
            clips=len(first),
            short_clips=int((hard_clips == 0).sum()),
            without_hard_negative=int((~self.has_hard_negative).sum()),
        )

    def draw(self, rows: Integers, generator: np.random.Generator) -> ClipPairs:
        """Draw a positive and a hard negative for each anchor.

        A sub-window is drawn by its weight among those that hold a frame, then its side, then a frame of it, evenly;
        a hard negative evenly among all frames of the clip that are far enough. An anchor without one is given an
        anchor of another clip, if there is one, all alike (ferkit default): so all have company, and batches one size.

        Args:
            rows: (n,) some of `anchors`, in any order, repeated or not.
            generator: source of all randomness.

        Raises:
            ValueError: a row is not among `anchors`.
        """
        places = self._place[rows]
        if (places < 0).any():
            raise ValueError(f"row {rows[places < 0][0]} has no positive; draw for rows of `anchors` only")
        positive = self._draw_positive(places, generator)
        hard_negative = self._draw_hard_negative(places, generator)
        hard_positive = self._draw_positive(hard_negative, generator)
        return ClipPairs(*(self.anchors[drawn] for drawn in (positive, hard_negative, hard_positive)))

    def _draw_positive(self, places: Integers, generator: np.random.Generator) -> Integers:
        first, count = self._positives(places)
        drawn = generator.random((3, len(places)))
        each = np.arange(len(places))
        ends = np.cumsum(self._weights * (count.sum(1) > 0), axis=1)
        window = (ends <= drawn[0, :, None] * ends[:, -1:]).sum(1)
        before, after = count[each, :, window].T > 0
        side = np.where(before & after, drawn[1] < 0.5, after).astype(np.int64)
        nth = (drawn[2] * count[each, side, window]).astype(np.int64)
        places_drawn: Integers = first[each, side, window] + nth
        return places_drawn

    def _positives(self, places: Integers) -> tuple[Integers, Integers]:
        """(n, 2, sub-windows) places where the frames of each begin, before and after the anchors, and their number."""
        time = self._time[places, None]
        before = np.searchsorted(self._time, time - self._edges, side="right")
        after = np.searchsorted(self._time, time + self._edges, side="left")
        first = np.stack([before[:, 1:], after[:, :-1]], axis=1)
        return first, np.stack([before[:, :-1], after[:, 1:]], axis=1) - first

    def _draw_hard_negative(self, places: Integers, generator: np.random.Generator) -> Integers:
        before, after = self._hard_negatives(places)
        begin, end, drawn = self._begin[places], self._end[places], generator.random(len(places))
        nth = (drawn * (before + after)).astype(np.int64)
        place = np.where(nth < before, begin + nth, end - after + nth - before)
        others = len(self.anchors) - (end - begin)
        stranger = (end + (drawn * others).astype(np.int64)) % max(1, len(self.anchors))
        return np.where(before + after > 0, place, stranger)

    def _hard_negatives(self, places: Integers) -> tuple[Integers, Integers]:
        """(n,) how many frames of the clip are far enough before each anchor, and after it."""
        time, begin, end = self._time[places], self._begin[places], self._end[places]
        before = np.searchsorted(self._time, time - self._hard, side="right") - begin
        after = end - np.searchsorted(self._time, time + self._hard, side="left")
        return before, after


class ClipMates:
    """Draws another face of the same clip, anew at each call.

    Args:
        clip: (N,) number of each face's clip, -1 for none, in any order, see `ferkit.data.face_selection.codes`.

    Attributes:
        members: (M,) rows whose clip has another face, clip by clip.
    """

    def __init__(self, clip: Integers) -> None:
        known = np.flatnonzero(clip >= 0)
        rows = known[np.argsort(clip[known], kind="stable")]
        _, first, sizes = np.unique(clip[rows], return_index=True, return_counts=True)
        begin, size = np.repeat(first, sizes), np.repeat(sizes, sizes)
        self._rows, self.members = rows, rows[size > 1]
        self._place, self._begin, self._size = (np.full(len(clip), -1, np.int64) for _ in range(3))
        self._place[rows], self._begin[rows], self._size[rows] = np.arange(len(rows)), begin, size

    def draw(self, rows: Integers, generator: np.random.Generator) -> Integers:
        """Draw one of the other faces for each of (n,) rows, all of them alike.

        Raises:
            ValueError: a row is not among `members`.
        """
        begin, size = self._begin[rows], self._size[rows]
        if (size < 2).any():
            raise ValueError(f"row {rows[size < 2][0]} is alone in its clip; draw for rows of `members` only")
        further = 1 + (generator.random(len(rows)) * (size - 1)).astype(np.int64)
        mates: Integers = self._rows[begin + (self._place[rows] - begin + further) % size]
        return mates


class Strangers:
    """Draws a face of another person, anew at each call.

    Args:
        person: (N,) number of each face's person, in any order; two at least.
    """

    def __init__(self, person: Integers) -> None:
        self._person, self._rows = person, np.argsort(person, kind="stable")
        self._ordered = person[self._rows]

    def draw(self, rows: Integers, generator: np.random.Generator) -> Integers:
        """Draw one of the faces of others for each of (n,) rows, all of them alike."""
        begin, end = (np.searchsorted(self._ordered, self._person[rows], side=side) for side in ("left", "right"))
        nth = (generator.random(len(rows)) * (len(self._rows) - (end - begin))).astype(np.int64)
        strangers: Integers = self._rows[(end + nth) % len(self._rows)]
        return strangers


def _one_after_another(clip: Integers, time_s: NDArray[np.float64], gap: int) -> Integers:
    """(n,) microseconds of sorted frames, as if each clip began more than ``gap`` after the last one's end."""
    if not len(clip):
        return np.empty(0, np.int64)
    begins = np.flatnonzero(np.diff(clip, prepend=-1))
    number = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(clip)))
    time = np.rint((time_s - time_s[begins][number]) * _TICKS).astype(np.int64)
    lasts = time[np.append(begins[1:], len(clip)) - 1]
    shifted: Integers = time + (np.cumsum(lasts + gap + 1) - (lasts + gap + 1))[number]
    return shifted


def _any_within(time: Integers, nearest: int, beyond: int) -> NDArray[np.bool_]:
    """(n,) whether another frame is at least ``nearest`` and less than ``beyond`` away, before or after."""
    after = np.searchsorted(time, time + beyond, side="left") > np.searchsorted(time, time + nearest, side="left")
    before = np.searchsorted(time, time - nearest, side="right") > np.searchsorted(time, time - beyond, side="right")
    paired: NDArray[np.bool_] = after | before
    return paired
