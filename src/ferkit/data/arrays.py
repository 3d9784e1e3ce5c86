"""Arrays in ``.npy`` files, as files that others wrote or that were damaged."""

from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
