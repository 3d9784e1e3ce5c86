"""One budget of memory for all decoders of a process: small files may hold giant pictures, several at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class MemoryBudget:
    """Lets threads in as long as what they ask for fits together; what is larger than the whole budget goes alone.

    Args:
        total: bytes.
    """

    def __init__(self, total: int) -> None:
        self._total = self._free = total
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, wanted: int) -> Iterator[None]:
        """Wait until ``wanted`` bytes are free, and hold them for the block."""
        taken = min(wanted, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= taken)
            self._free -= taken
        try:
            yield
        finally:
            with self._changed:
                self._free += taken
                self._changed.notify_all()


DECODING = MemoryBudget(1_600_000_000)
"""About what a picture of 200 megapixels takes while it becomes RGB."""
