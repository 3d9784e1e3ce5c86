"""What a source holds: images, read when it is their turn, in sequences that are made as they are asked for."""

import hashlib
from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Generic, NoReturn, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from ferkit.data.images import ScaleOf, capture_time, image_size, read_image_scaled
from ferkit.errors import UnreadableImageError

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Picture:
    """One image that can be read when it is its turn, and what its source says of it."""

    # absolute path, or the container's and the place in it behind the last ``#``: ``/path/x.parquet#123`` is row 123,
    # counted from 0, ``/path/x.zip#a/b.jpg`` a member, see `place_name`
    source: str
    label: str | None = None  # class or expression
    identity: str | None = None  # who it is
    # gives the encoded bytes; None means the file at ``source``
    fetch: Callable[[], bytes] | None = field(default=None, repr=False, compare=False)
    clip: str | None = None  # the moving picture that it is a frame of: one face, followed without a break
    time_s: float | None = None  # seconds from the clip's beginning
    # x0, y0, x1, y1 in pixels of the upright picture: the face that the source means, where there may be others
    box: tuple[float, float, float, float] | None = None
    valence: float | None = None  # annotated pleasantness in [-1, 1]
    arousal: float | None = None  # annotated activation in [-1, 1]
    # what changes when the content does, where reading that is slow; None where it is at hand
    version: str | None = None

    @property
    def file(self) -> Path:
        """The file that holds the picture: itself, or its container."""
        return Path(self.source if self.fetch is None or "#" not in self.source else self.source.rpartition("#")[0])

    def read(self, at_least: int | None = None) -> NDArray[np.uint8]:
        """Return (H, W, 3) uint8 RGB, upright; see `ferkit.data.images.read_image_scaled`."""
        return self.read_scaled(at_least)[0]

    def read_scaled(self, at_least: int | None = None, scale: ScaleOf | None = None) -> tuple[NDArray[np.uint8], int]:
        """Return the image and how many pixels of the original one of its pixels spans, as `read_image_scaled`."""
        return read_image_scaled(self._content(), self.source, at_least=at_least, scale=scale)

    def size(self) -> tuple[int, int]:
        """Return (width, height) as stored, without decoding; `UnreadableImageError` if that fails."""
        return image_size(self._content(), self.source)

    def capture_time(self) -> float | None:
        """Return when it was taken, see `ferkit.data.images.capture_time`; `UnreadableImageError` if that fails."""
        return capture_time(self._content(), self.source)

    def sha256(self) -> str:
        """Hex digest of the encoded image or, where it is far away, of its version.

        Raises:
            OSError, UnreadableImageError: it cannot be read.
        """
        if self.version is not None:
            return hashlib.sha256(f"{self.source} {self.version}".encode()).hexdigest()
        content = self._content()
        if isinstance(content, bytes):
            return hashlib.sha256(content).hexdigest()
        with content.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _content(self) -> Path | bytes:
        if self.fetch is not None:
            return self.fetch()
        path = Path(self.source)
        if path.exists() and not (path.is_file() or path.is_dir()):  # reading it might wait for ever
            raise UnreadableImageError(self.source, "it is a pipe or device, no file")
        return path


class Pictures(Sequence[Picture]):
    """Pictures that are made when they are asked for: slices and negative indices, as for any sequence."""

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> list[Picture]: ...
    def __getitem__(self, index: int | slice) -> Picture | list[Picture]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self._at(range(len(self))[index])

    @abstractmethod
    def _at(self, index: int, /) -> Picture:
        """The picture at an index from 0 to the length."""


class LazyPictures(Pictures, Generic[Item]):
    """What ``make`` makes of each of ``items``."""

    def __init__(self, items: Sequence[Item], make: Callable[[Item], Picture]) -> None:
        self._items = items
        self._make = make

    def __len__(self) -> int:
        return len(self._items)

    def _at(self, index: int) -> Picture:
        return self._make(self._items[index])


class Container(Pictures):
    """The pictures of one file, each of which can be found again by its place in it."""

    def find(self, place: str, /) -> Picture:
        """The picture whose ``source`` ends in ``#place``, in tables the number of its row; `KeyError` without it."""
        if not (place.isdecimal() and int(place) < len(self)):
            raise KeyError(place)
        return self[int(place)]


class Rows(Container):
    """Rows of a table as pictures.

    Args:
        numbers: which rows, by which each is found again.
        make: makes the picture of a row; where it raises `ValueError`, the row is one that cannot be read.
        table: the table's file.
    """

    def __init__(self, numbers: Sequence[int], make: Callable[[int], Picture], table: Path) -> None:
        self._numbers, self._make, self._table = numbers, make, table

    def __len__(self) -> int:
        return len(self._numbers)

    def find(self, place: str, /) -> Picture:
        """As `Container.find`."""
        if not (place.isdecimal() and int(place) in self._numbers):
            raise KeyError(place)
        return self._picture(int(place))

    def _at(self, index: int) -> Picture:
        return self._picture(self._numbers[index])

    def _picture(self, row: int) -> Picture:
        return or_unreadable(f"{self._table}#{row}", lambda: self._make(row))


class Chain(Pictures):
    """Several sequences of pictures, one behind the other."""

    def __init__(self, parts: Sequence[Sequence[Picture]]) -> None:
        self._parts = parts
        self._ends = list(accumulate(len(part) for part in parts))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def _at(self, index: int) -> Picture:
        part = bisect_right(self._ends, index)
        return self._parts[part][index - (self._ends[part - 1] if part else 0)]


def place_name(member: str) -> str:
    """Return the name of an archive's member as a picture's ``source`` holds it: without ``#``, as in addresses."""
    return member.replace("%", "%25").replace("#", "%23")


def unreadable_picture(source: str, why: str) -> Picture:
    """Return a picture that cannot be read; asking for its pixels raises `UnreadableImageError` with the reason."""
    return Picture(source, fetch=partial(_raise_unreadable, source, why))


def or_unreadable(source: str, make: Callable[[], Picture]) -> Picture:
    """Return the picture that ``make`` makes; where it raises `ValueError`, one under ``source`` that cannot be read.

    So a damaged annotation is counted among the pictures that could not be read, and the others go on.
    """
    try:
        return make()
    except ValueError as error:
        return unreadable_picture(source, " ".join(str(error).split()))


def _raise_unreadable(source: str, why: str) -> NoReturn:
    raise UnreadableImageError(source, why)
