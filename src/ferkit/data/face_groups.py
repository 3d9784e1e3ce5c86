"""Which faces stay together when a face set is split: those of one person, else of one clip, else of one picture."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ferkit.data.face_selection import codes, picture_of
from ferkit.data.media import VIDEO_SUFFIXES

GROUPINGS = ("identity", "clip", "source", "none")
"""What a split can keep together, the coarsest first; where a face lacks one, the next counts."""


def groups_of(rows: pa.Table, by: str = "identity") -> tuple[NDArray[np.int64], int]:
    """Number the groups that stay together.

    Args:
        rows: n rows with the columns source, clip and identity.
        by: one of `GROUPINGS`.

    Returns:
        (n,) numbers, and how many rows lack what ``by`` names.
    """
    if by == "none":
        return np.arange(rows.num_rows), 0
    groups, _ = codes(picture_of(rows.column("source"), VIDEO_SUFFIXES))
    lacking = np.zeros(len(groups), np.bool_)
    for name in ("clip", "identity")[: {"source": 0, "clip": 1, "identity": 2}[by]]:
        numbers, _ = codes(rows.column(name))
        lacking = numbers < 0
        groups = np.where(lacking, groups, numbers + groups.max(initial=0) + 1)
    return groups, int(lacking.sum())
