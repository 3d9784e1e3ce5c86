"""A run that is asked to end ends after its step, with a checkpoint."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_ASKING = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Whether Ctrl-C was pressed or a scheduler asked the process to end.

    Attributes:
        signal: the first one that came; None before.
    """

    def __init__(self) -> None:
        self.signal: int | None = None

    def note(self, number: int, _: FrameType | None) -> None:
        """Remember a signal; a second Ctrl-C ends at once.

        Raises:
            KeyboardInterrupt: it is the second one.
        """
        if number == signal.SIGINT == self.signal:
            raise KeyboardInterrupt
        self.signal = self.signal or number

    def end(self) -> None:
        """End as the signal would have done.

        Raises:
            KeyboardInterrupt: after Ctrl-C, or where another process was asked to end.
            SystemExit: after SIGTERM.
        """
        if self.signal == signal.SIGTERM:
            raise SystemExit(128 + signal.SIGTERM)
        raise KeyboardInterrupt


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Note SIGINT and SIGTERM in the block instead of dying of them; the handlers before come back after it.

    Only the main thread may set handlers: in any other, nothing is noted.
    """
    request = StopRequest()
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, request.note) for number in _ASKING}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
