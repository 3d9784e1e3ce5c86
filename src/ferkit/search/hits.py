"""Answers: the faces of a set that were found."""

from dataclasses import dataclass

from ferkit.data.faces import Face


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


def hit_of(
    rank: int, score: float, probability: float | None, percentile: float, row: int, face: Face, count: int
) -> Hit:
    """Return the hit of a face."""
    known = face.source, face.face, face.identity, face.label, face.time_s
    return Hit(rank, score, probability, percentile, *known, row, count)
