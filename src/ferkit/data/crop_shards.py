"""The crops of a face set on disk: shards whose headers are checked at once and whose pixels are mapped when needed."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ferkit.data.arrays import header_errors
from ferkit.data.faces import crop_sha256


def shard_name(number: int) -> str:
    """Return the file name of shard ``number``, counted from 0."""
    return f"faces-{number:05d}.npy"


@dataclass(frozen=True, slots=True)
class _Shard:
    """A ``.npy`` file of (count, size, size, 3) uint8, whose pixels begin at byte ``offset``."""

    path: Path
    count: int
    offset: int


class CropShards:
    """``faces-00000.npy`` ... of one folder, as one sequence of crops.

    Args:
        folder: where they lie.
        size: height and width of a crop in pixels.
        digests: gives the column of all crops' `crop_sha256`; asked at the first read.

    Raises:
        ValueError: a shard is missing, cut short, or holds something else; the message begins with its name.
    """

    def __init__(self, folder: Path, size: int, digests: Callable[[], pa.ChunkedArray]) -> None:
        self._size = size
        self._digests = cache(digests)
        self._shards = list(_read_shards(folder, size))
        self._starts = np.cumsum([0, *(shard.count for shard in self._shards)])
        self._maps: dict[int, NDArray[np.uint8]] = {}
        self._right = np.zeros(len(self), np.bool_)  # crops whose digest was found right

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self._shards)

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the crops of ``rows`` (n,), each from 0 to the length, as an (n, size, size, 3) copy.

        The files are read in ascending order whatever the order of ``rows``, repeats included.

        A crop is compared with its digest when this object reads it for the first time.

        Raises:
            ValueError: a shard was removed or cut since the folder was opened, or a crop has changed since it was
                written.
        """
        order = np.argsort(rows, kind="stable")
        cuts = np.searchsorted(rows[order], self._starts)
        result = np.empty((len(rows), self._size, self._size, 3), np.uint8)
        for number in np.flatnonzero(np.diff(cuts)).tolist():
            places = order[cuts[number] : cuts[number + 1]]
            result[places] = self._mapped(number)[rows[places] - self._starts[number]]
        self._check(rows, result)
        return result

    def _check(self, rows: NDArray[np.int64], crops: NDArray[np.uint8]) -> None:
        new = np.flatnonzero(~self._right[rows])
        digests = self._digests() if len(new) else []
        stated = [digests[row].as_py() for row in rows[new].tolist()]  # take(rows) would load pandas where it is
        for place, digest in zip(new.tolist(), stated, strict=True):
            if crop_sha256(crops[place]) != digest:
                number = int(np.searchsorted(self._starts, rows[place], "right")) - 1
                raise ValueError(f"the crop of row {rows[place]} in {shard_name(number)} has changed since it was made")
        self._right[rows] = True

    def _mapped(self, number: int) -> NDArray[np.uint8]:
        if number not in self._maps:
            shard = self._shards[number]
            shape = (shard.count, self._size, self._size, 3)
            try:
                self._maps[number] = np.memmap(shard.path, np.uint8, "r", shard.offset, shape)
            except (OSError, ValueError) as error:
                raise ValueError(f"{shard.path.name} was removed or cut since it was opened") from error
        return self._maps[number]


def _read_shards(folder: Path, size: int) -> Iterator[_Shard]:
    count = len(list(folder.glob("faces-*.npy")))
    for path in (folder / shard_name(number) for number in range(count)):
        try:
            yield _read_shard(path, size)
        except FileNotFoundError:
            raise ValueError(f"{path.name} is missing") from None
        except (OSError, EOFError) as error:
            raise ValueError(f"{path.name} is cut short or no array") from error


def _read_shard(path: Path, size: int) -> _Shard:
    with path.open("rb") as file:
        shape, by_columns, dtype = _read_header(file)
        offset, end = file.tell(), os.fstat(file.fileno()).st_size
    if shape[1:] != (size, size, 3) or dtype != np.uint8 or by_columns:
        raise ValueError(f"{path.name} is {shape} {dtype}, not (N, {size}, {size}, 3) uint8")
    if not 0 <= shape[0] * size * size * 3 <= end - offset:
        raise EOFError
    return _Shard(path, shape[0], offset)


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Return shape, whether columns come first, and type; the file stands at the first pixel then."""
    try:
        with header_errors():
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            header: tuple[tuple[int, ...], bool, np.dtype[Any]] = read[np.lib.format.read_magic(file)](file)
            return header
    except (ValueError, KeyError) as error:
        raise EOFError from error
