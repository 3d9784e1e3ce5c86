"""Cut the faces of a job into parts that machines work through one by one."""

from dataclasses import replace

import numpy as np

from ferkit.data.sources import Sources
from ferkit.errors import InputError
from ferkit.pipeline.face_finder import with_runtime
from ferkit.pipeline.face_stream import SetStream
from ferkit.pipeline.source_stream import SourceStream


def parse_part(text: str) -> tuple[int, int]:
    """Read ``7/64``: the seventh of 64 parts.

    Raises:
        InputError: it is no such pair, or the part is none of them.
    """
    number, _, parts = text.partition("/")
    if not (number.isdecimal() and parts.isdecimal() and 1 <= int(number) <= int(parts) <= 99_999):
        raise InputError(f"a part is NUMBER/PARTS, such as 7/64, counted from 1; not {text!r}")
    return int(number), int(parts)


def part_of(stream: SourceStream | SetStream, number: int, parts: int) -> SourceStream | SetStream:
    """Return one of the consecutive parts of a stream, of about as many pictures, frames or faces each.

    The same sources give the same parts on every machine.
    """
    if isinstance(stream, SetStream):
        faces = stream.face_set
        return SetStream(faces.subset(np.arange(*_range(np.ones(len(faces)), number, parts))))
    pictures, videos = stream.sources.pictures, stream.sources.videos
    start, stop = _range(np.array([1.0] * len(pictures) + [max(1, frames) for frames in stream.frames]), number, parts)
    first = start - len(pictures), stop - len(pictures)
    mine = Sources(pictures[start:stop], videos[max(0, first[0]) : max(0, first[1])])
    options = stream.options if stream.aligned else with_runtime(stream.options, stream.total)  # as of the whole
    return replace(stream, sources=mine, options=options)


def _range(work: np.ndarray[tuple[int], np.dtype[np.float64]], number: int, parts: int) -> tuple[int, int]:
    """Rows from the first whose middle lies in the part's share of the work, to the one behind the last."""
    middles = (np.cumsum(work) - work / 2) / max(work.sum(), 1)
    start, stop = np.searchsorted(middles, [(number - 1) / parts, number / parts])
    return int(start), len(work) if number == parts else int(stop)
