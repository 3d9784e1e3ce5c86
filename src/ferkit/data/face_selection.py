"""Which rows of a face set to take: conditions on its columns, one mask each."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


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


def first_of_each(column: pa.ChunkedArray) -> Mask:
    """(n,) whether no earlier row has the same value."""
    _, first = np.unique(codes(column)[0], return_index=True)
    return _mask(len(column), first)


def at_most_per_value(column: pa.ChunkedArray, rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Return those of ``rows`` that are left when each value keeps ``most`` of them, spread evenly over its rows.

    Rows without a value all stay.
    """
    numbers = codes(column)[0][rows]
    order = np.argsort(numbers, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1) if len(order) else []
    kept = [group if numbers[group[0]] < 0 else group[_spread(len(group), most)] for group in groups]
    return np.sort(rows[np.concatenate(kept)]) if kept else rows


def picture_of(sources: pa.ChunkedArray, videos: Iterable[str]) -> pa.ChunkedArray:
    """The picture that each row's source means; all frames of a video (by its suffix) are one."""
    suffixes = "|".join(re.escape(suffix) for suffix in sorted(videos))
    return pc.replace_substring_regex(sources, rf"(?i)({suffixes})#\d+$", r"\1")


def unit_of(times: pa.ChunkedArray) -> str:
    """What a table's sources are, by its column ``time_s``: ``pictures``, ``frames`` or ``pictures and frames``."""
    return {len(times): "pictures", 0: "frames"}.get(times.null_count, "pictures and frames")


def _spread(count: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))


def _mask(count: int, rows: NDArray[np.int64]) -> Mask:
    mask = np.zeros(count, np.bool_)
    mask[rows] = True
    return mask
