"""What an entry of `LAYOUTS` is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ferkit.data.sources.picture import Picture

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
