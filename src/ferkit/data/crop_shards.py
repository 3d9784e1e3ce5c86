"""The crops of a face set on disk: shards whose headers are checked at once and whose pixels are mapped when needed."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ferkit.data.arrays import map_array
from ferkit.data.faces import crop_sha256


def shard_name(number: int) -> str:
    """Return the file name of shard ``number``, counted from 0."""
    return f"faces-{number:05d}.npy"


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
        self._files = [folder / shard_name(number) for number in range(len(list(folder.glob("faces-*.npy"))))]
        self._starts = np.cumsum([0, *(len(_map_shard(file, size)) for file in self._files)])
        self._maps: dict[int, NDArray[np.uint8]] = {}
        self._right = np.zeros(len(self), np.bool_)  # crops whose digest was found right

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self._files)

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
            file, count = self._files[number], self._starts[number + 1] - self._starts[number]
            try:
                self._maps[number] = _map_shard(file, self._size)
            except ValueError as error:
                raise ValueError(f"{file.name} was removed or cut since it was opened") from error
            if len(self._maps[number]) != count:
                raise ValueError(f"{file.name} was written anew since it was opened")
        return self._maps[number]


def _map_shard(path: Path, size: int) -> NDArray[np.uint8]:
    try:
        crops = map_array(path)
    except FileNotFoundError:
        raise ValueError(f"{path.name} is missing") from None
    except ValueError as error:
        raise ValueError(f"{path.name} is cut short or no array") from error
    if crops.shape[1:] != (size, size, 3) or crops.dtype != np.uint8 or not crops.flags.c_contiguous:
        raise ValueError(f"{path.name} is {crops.shape} {crops.dtype}, not (N, {size}, {size}, 3) uint8")
    return crops
