"""What a layout is made of: an entry of `LAYOUTS`, and pictures that are made when they are asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferkit.data.sources.picture import Picture, Pictures, refused

Parts = Mapping[str, Sequence[Picture]]
"""The pictures of each split that is there, in the order to read them; under "" where the data set has no splits."""

Reader = Callable[[Path], Parts]
"""Reads the data set below an absolute folder; `InputError` if the folder does not look like it."""


@dataclass(frozen=True)
class Layout:
    """How one data set lies on disk.

    Attributes:
        title: what its authors call it.
        read: lists its pictures.
        home: where it comes from: the official page or the paper.
        splits: the names of its official splits; ``name:split`` opens one of them.
        path: regular expression of how a picture's path begins below the folder to read, by which a copy is known;
            None where class folders say the same.
    """

    title: str
    read: Reader
    home: str
    splits: tuple[str, ...] = ()
    path: str | None = None


class LazyPictures(Pictures):
    """``count`` pictures, each made by ``make`` from its index."""

    def __init__(self, count: int, make: Callable[[int], Picture]) -> None:
        self._count = count
        self._make = make

    def __len__(self) -> int:
        return self._count

    def _at(self, index: int) -> Picture:
        return self._make(index)


def or_unreadable(source: str, make: Callable[[], Picture]) -> Picture:
    """Return the picture that ``make`` makes; where it raises `ValueError`, one under ``source`` that cannot be read.

    So a damaged annotation is counted among the pictures that could not be read, and the others go on.
    """
    try:
        return make()
    except ValueError as error:
        return refused(source, " ".join(str(error).split()))
