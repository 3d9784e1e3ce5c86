"""How sources are read and their faces found: the settings that every verb shares.

This file imports nothing of ferkit but `setting`, so that the command line can state the defaults without loading
anything else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from functools import partial
from typing import Any, Self, TypedDict

from ferkit.settings import setting

READING = "Reading sources"
"""Group of the options that say how."""

_reading, _finding = partial(setting, group=READING), partial(setting, group="Finding faces")
_choosing = partial(setting, group="Leaving faces out")

SEARCH_FPS = 2.0
"""Frames a second of a video that is to be searched: hardly an expression comes and goes between two of them."""

FILTERS = ("min_size", "max_yaw", "min_sharpness", "min_score")
"""Those that leave out faces, of photos as of sets."""


def _parse_columns(text: str) -> dict[str, str]:
    """``image=path,label=emotion`` as a mapping."""
    pairs = [pair.partition("=") for pair in text.split(",") if pair]
    if any(not (name and column) for name, _, column in pairs):
        raise ValueError(f"{text!r} is not NAME=COLUMN,NAME=COLUMN, such as image=path,label=emotion")
    return {name.strip(): column.strip() for name, _, column in pairs}


def _parse_threshold(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number; give three, such as 0.6 0.7 0.7") from None


@dataclass(frozen=True)
class FaceOptions:
    """Which pictures are read, which of their faces are taken."""

    aligned: bool | None = _reading(
        None,
        "Take the images as face crops, or search them for faces.",
        flags=("--aligned/--detect",),
        default_text="crops where small and square",
    )
    layout: str | None = _reading(
        None,
        "The source is this data set as its authors distribute it: raf-db, affectnet, ferplus, …",
        metavar="NAME",
        completion="layouts",
        default_text=False,
    )
    label_from: str | None = _reading(
        None,
        "Take labels from the path: the first group, or the one named `label`.",
        metavar="REGEX",
        default_text="class folders, columns",
    )
    identity_from: str | None = _reading(
        None,
        "Take identities from the path: the first group, or the one named `identity`.",
        metavar="REGEX",
        default_text="columns",
    )
    columns: Mapping[str, str] = _reading(
        {},
        "Columns of a table whose names do not speak for themselves, such as image=pth,label=emo.",
        metavar="NAME=COLUMN,…",
        parser=_parse_columns,
        default_text=False,
    )
    fps: float | None = _reading(
        None, "Frames per second of video to look at; 0 takes every frame.", default_text="every frame"
    )
    min_face: float | None = _finding(
        None,
        "Side of the smallest face to look for: pixels of the photo, or below 1 a share of its shorter side.",
        default_text="20 pixels; of photos above 6 megapixels 40 to 60",
    )
    max_side: int | None = _finding(
        None, "Search photos at no more than this longer side in pixels.", default_text="as decoded"
    )
    thresholds: tuple[float, float, float] = _finding(
        (0.6, 0.7, 0.7), "Probabilities to pass the detector's three stages.", metavar="P P P", parser=_parse_threshold
    )
    every_frame: bool = _finding(
        False,
        "Search every frame of a video, instead of following faces between searches 0.5 s apart.",
        flags=("--every-frame",),
    )
    detector: str | None = _finding(
        None,
        "What computes the face detector on a CPU.",
        metavar="torch|openvino",
        default_text="openvino, where it is installed, from 50 pictures or seconds on",
    )
    faces: str = _finding("all", "Which faces of a picture to take.", metavar="all|largest|center")
    min_size: float | None = _choosing(
        None, "Leave out faces smaller than this, in pixels of the photo.", default_text="none"
    )
    max_yaw: float | None = _choosing(
        None, "Leave out heads turned further than this, in degrees.", default_text="none"
    )
    min_sharpness: float | None = _choosing(
        None, "Leave out crops less sharp than this (`ferkit faces info` shows what is usual).", default_text="none"
    )
    min_score: float | None = _choosing(
        None,
        "Leave out faces that the detector is less sure of, from 0 to 1: .95 costs about one true face in a hundred.",
        default_text="none: each face was looked at twice",
    )
    workers: int | None = _reading(None, "Threads that decode and search.", min=1, default_text="one per core")

    def __new__(cls, *_: object, **given: object) -> Self:
        """Explain a name that is no setting: verbs pass on what is none of their own arguments."""
        known = [setting.name for setting in fields(cls)]
        for name in given:
            if name not in known:
                near = ", ".join(get_close_matches(name, known, cutoff=0))
                raise TypeError(
                    f"unexpected argument {name!r}: the function has none of this name, and of the options by which it "
                    f"reads faces the nearest are {near}"
                )
        return super().__new__(cls)

    def changed(self) -> dict[str, Any]:
        """Return those that do not have their defaults, by name."""
        usual = type(self)()
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value != getattr(usual, name)}

    def for_search(self) -> Self:
        """Return them with `SEARCH_FPS` where nobody said how many frames; a layout knows its own."""
        return replace(self, fps=SEARCH_FPS) if self.fps is None and self.layout is None else self


class DetectionKeywords(TypedDict, total=False):
    """Keyword arguments of `FaceOptions` that say how faces are searched."""

    min_face: float | None
    max_side: int | None
    thresholds: tuple[float, float, float]


class FilterKeywords(TypedDict, total=False):
    """Those that leave faces out."""

    min_size: float | None
    max_yaw: float | None
    min_sharpness: float | None
    min_score: float | None


class QueryKeywords(DetectionKeywords, FilterKeywords, total=False):
    """Those of a query: how its faces are found, and which answers are left out."""

    aligned: bool | None


class FindingKeywords(DetectionKeywords, FilterKeywords, total=False):
    """Those of images in memory."""

    faces: str
    workers: int | None


class FaceKeywords(FindingKeywords, total=False):
    """All of them, for the signatures of the verbs that read sources."""

    aligned: bool | None
    layout: str | None
    label_from: str | None
    identity_from: str | None
    columns: Mapping[str, str]
    fps: float | None
    every_frame: bool
    detector: str | None
