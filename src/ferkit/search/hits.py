"""Answers: the faces of a set, and the moments of its videos, that were found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hit:
    """One face of the embedding set, and those that were folded into it."""

    rank: int  # 1 for the closest
    score: float  # cosine between its vector and the query's, in [-1, 1]; of the rule ``best`` a difference of two
    # that it shows the same expression as the query, in [0, 1], see `ferkit.encoders.expression_head.ExpressionHead`;
    # None where the encoder has no curve for it
    probability: float | None
    percentile: float  # share in percent of the set's faces that score lower
    source: str  # absolute path of its picture, or ``/path/x.parquet#123``
    face: int  # its number in the picture, from 1, left to right
    identity: str | None  # who it is, where the source said so
    label: str | None  # expression or class, where the source said so
    time_s: float | None  # seconds from the beginning of its clip, where it is from one
    row: int  # its row in the embedding set
    count: int  # how many faces it stands for: itself, and of the nearest ones its copies and other frames of its clip


@dataclass(frozen=True)
class MomentHit:
    """One rise and fall of an expression on one face."""

    rank: int  # 1 for the highest score
    score: float  # smoothed, at its highest: a probability, or the cosine where the encoder has no curve for one
    clip: str  # the face that was followed, ``/path/x.mp4@1``
    identity: str | None  # who it is, where the source said so
    onset_s: float  # seconds in the video when the score has risen half of the way, or the face is first seen
    apex_s: float  # when the frame that shows it best is shown
    offset_s: float  # when it has fallen half of the way, or the face is last seen
    source: str  # the frame of the apex, ``/path/x.mp4#123``
    face: int  # its number in that frame, from 1, left to right
    row: int  # of the apex in the embedding set
