"""Arrays in ``.npy`` files, as files that others wrote or that were damaged."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray


def map_array(path: Path) -> NDArray[Any]:
    """Map the one array of a ``.npy`` file; nothing is unpickled.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else, or is cut short.
    """
    with header_errors():
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ValueError("it is an archive of arrays and not one .npy array")
    return array


@contextmanager
def header_errors() -> Iterator[None]:
    """Turn what numpy raises at a damaged header, which it reads as a Python literal, into one `ValueError`."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, ValueError, EOFError, SyntaxError, TokenError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError("it is no .npy array, or cut short") from error
