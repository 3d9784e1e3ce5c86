"""Which rows of a face set to take, and which stay together when it is split."""

import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ferkit.data.media import VIDEO_SUFFIXES

GROUPINGS = ("identity", "clip", "source", "none")
"""What a split can keep together, the coarsest first; where a face lacks one, the next counts."""


def codes(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str]]:
    """Number the values of a text column: (n,) numbers, -1 where there is none, and the values that they stand for."""
    encoded = pa.chunked_array([column.combine_chunks()]).combine_chunks().dictionary_encode()
    return encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary.to_pylist()


@dataclass(frozen=True)
class Clip:
    """One face that was followed through a video."""

    name: str  # of the column ``clip``
    rows: NDArray[np.int64]  # (n,) of the table, by time
    times: NDArray[np.float64]  # (n,) seconds, rising


def clips_of(table: pa.Table) -> list[Clip]:
    """Return the clips of a table with the columns ``clip`` and ``time_s``, in the order of their first rows.

    Rows that belong to none, such as photos, are left out.
    """
    numbers, names = codes(table.column("clip"))
    times = pc.fill_null(table.column("time_s"), np.nan).to_numpy()
    rows = np.flatnonzero((numbers >= 0) & np.isfinite(times))
    rows = rows[np.lexsort((times[rows], numbers[rows]))]
    parts = np.split(rows, np.flatnonzero(np.diff(numbers[rows])) + 1) if len(rows) else []
    return [Clip(names[numbers[part[0]]], part, times[part]) for part in parts]


def first_of_each(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """(n,) whether no earlier row has the same value."""
    _, first = np.unique(codes(column)[0], return_index=True)
    mask = np.zeros(len(column), np.bool_)
    mask[first] = True
    return mask


def at_most_per_value(column: pa.ChunkedArray, rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return those of ``rows`` that are left when each value keeps ``most`` of them, spread evenly over its rows.

    Rows without a value all stay.
    """
    numbers = codes(column)[0][rows]
    order = np.argsort(numbers, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1) if len(order) else []
    spreads = [np.linspace(0, len(group) - 1, min(len(group), most)).round().astype(np.int64) for group in groups]
    kept = [
        group if numbers[group[0]] < 0 else group[np.unique(spread)]
        for group, spread in zip(groups, spreads, strict=True)
    ]
    return np.sort(rows[np.concatenate(kept)]) if kept else rows


def picture_of(sources: pa.ChunkedArray) -> pa.ChunkedArray:
    """The picture that each row's source means; all frames of a video (by its suffix) are one."""
    suffixes = "|".join(re.escape(suffix) for suffix in sorted(VIDEO_SUFFIXES))
    return pc.replace_substring_regex(sources, rf"(?i)({suffixes})#\d+$", r"\1")


def unit_of(times: pa.ChunkedArray) -> str:
    """What a table's sources are, by its column ``time_s``: ``pictures``, ``frames`` or ``pictures and frames``."""
    return {len(times): "pictures", 0: "frames"}.get(times.null_count, "pictures and frames")


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
    groups, _ = codes(picture_of(rows.column("source")))
    lacking = np.zeros(len(groups), np.bool_)
    for name in ("clip", "identity")[: {"source": 0, "clip": 1, "identity": 2}[by]]:
        numbers, _ = codes(rows.column(name))
        lacking = numbers < 0
        groups = np.where(lacking, groups, numbers + groups.max(initial=0) + 1)
    return groups, int(lacking.sum())
