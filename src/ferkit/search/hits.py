"""Answers: the faces of a set, and the moments of its videos, that were found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Hit:
    """One face of the embedding set, and those that were folded into it.

    Attributes:
        rank: 1 for the closest.
        score: cosine between its vector and the query's, in [-1, 1]; of the rule ``best`` a difference of two.
        probability: that it shows the same expression as the query, in [0, 1], see
            `ferkit.encoders.expression_head.ExpressionHead`; None where the encoder has no curve for it.
        percentile: share in percent of the set's faces that score lower.
        source: absolute path of its picture, or ``/path/x.parquet#123``.
        face: its number in the picture, from 1, left to right.
        identity: who it is, where the source said so.
        label: expression or class, where the source said so.
        time_s: seconds from the beginning of its clip, where it is from one.
        row: its row in the embedding set.
        count: how many faces it stands for: itself, and of the nearest ones its copies and other frames of its clip.
    """

    rank: int
    score: float
    probability: float | None
    percentile: float
    source: str
    face: int
    identity: str | None
    label: str | None
    time_s: float | None
    row: int
    count: int


@dataclass(frozen=True)
class MomentHit:
    """One rise and fall of an expression on one face.

    Attributes:
        rank: 1 for the highest score.
        score: smoothed, at its highest: a probability, or the cosine where the encoder has no curve for one.
        clip: the face that was followed, ``/path/x.mp4@1``.
        identity: who it is, where the source said so.
        onset_s: seconds in the video when the score has risen half of the way, or the face is first seen.
        apex_s: when the frame that shows it best is shown.
        offset_s: when it has fallen half of the way, or the face is last seen.
        source: the frame of the apex, ``/path/x.mp4#123``.
        face: its number in that frame, from 1, left to right.
        row: of the apex in the embedding set.
    """

    rank: int
    score: float
    clip: str
    identity: str | None
    onset_s: float
    apex_s: float
    offset_s: float
    source: str
    face: int
    row: int
