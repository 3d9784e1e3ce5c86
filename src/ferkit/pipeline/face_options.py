"""How sources are read and their faces found: the settings that every verb shares.

This file imports nothing of ferkit, so that the command line can state the defaults without loading anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Self

__all__ = ["FaceOptions"]


@dataclass(frozen=True)
class FaceOptions:
    """Which pictures are read, which of their faces are taken.

    Attributes:
        aligned: take pictures as face crops (True), search them for faces (False), or decide by their looks (None).
        layout: name of a known data set's layout (`ferkit.data.sources.layouts`); None reads what is there.
        label_from: regular expression searched in a picture's path; its group ``label``, else its first, is the label.
        identity_from: the same for the identity, with the group ``identity``.
        columns: which column of a table is the image, label, identity, clip, time_s, box, valence or arousal, where
            its name does not say so itself.
        fps: frames per second of video to look at; None takes every frame.
        min_face: side of the smallest face to look for: pixels of the photo as it is decoded, or below 1 a share of
            its shorter side.
        max_side: photos are searched at no more than this longer side in pixels; None searches what was decoded.
        thresholds: probabilities that a candidate must reach in MTCNN's three stages.
        faces: which faces of a picture to take: ``all``, the ``largest``, or the one at the ``center``.
        min_size: leave out faces whose shorter side is below this many pixels of the original.
        max_yaw: leave out heads turned further than this, in degrees.
        min_sharpness: leave out crops less sharp than this (`ferkit.faces.quality`).
        workers: threads that decode and search; None takes one per core.
    """

    aligned: bool | None = None
    layout: str | None = None
    label_from: str | None = None
    identity_from: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    fps: float | None = None
    min_face: float = 20.0
    max_side: int | None = None
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7)
    faces: str = "all"
    min_size: float | None = None
    max_yaw: float | None = None
    min_sharpness: float | None = None
    workers: int | None = None

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
