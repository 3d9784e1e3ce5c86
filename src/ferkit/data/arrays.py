"""Arrays in ``.npy`` files, as files that others wrote or that were damaged."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ferkit.atomic import atomic_path
from ferkit.errors import OutputError

_DAMAGE = (OSError, ValueError, EOFError, SyntaxError, TokenError, TypeError, OverflowError, RecursionError)
"""What numpy raises at a damaged header, which it reads as a Python literal."""


def map_array(path: Path) -> NDArray[Any]:
    """Map the one array of a ``.npy`` file; nothing is unpickled.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else, or is cut short.
    """
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise
    except _DAMAGE as error:
        raise ValueError("it is no .npy array, or cut short") from error
    if not isinstance(array, np.ndarray):
        raise ValueError("it is an archive of arrays and not one .npy array")
    return array


def cached_array(path: Path, shape: tuple[int, ...], compute: Callable[[], NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the float32 array of a shape that is kept at ``path``, else compute it and keep it there.

    Where it cannot be kept, as on a full disk, that costs the next one time and nothing else.
    """
    with suppress(OSError, ValueError):
        kept = map_array(path)
        if kept.shape == shape and kept.dtype == np.float32:
            return kept
    array = compute()
    with suppress(OutputError), atomic_path(path) as partial, partial.open("wb") as file:
        np.save(file, array, allow_pickle=False)
    return array
