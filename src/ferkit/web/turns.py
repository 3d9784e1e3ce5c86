"""A bounded queue: so many questions are worked on at once, so many wait, and the rest are told to come again."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import TypeVar

T = TypeVar("T")


class BusyError(Exception):
    """As many questions wait already as may."""


class Turns:
    """Runs blocking work on threads, in turn.

    Args:
        at_once: how much of it runs at the same time.
        most: how much of it may run or wait, at least 1.
    """

    def __init__(self, at_once: int = 2, most: int = 64) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="question")
        self._places = BoundedSemaphore(most)

    async def run(self, work: Callable[[], T]) -> T:
        """Return what ``work`` returns, when it is its turn.

        Raises:
            BusyError: too many wait.
        """
        if not self._places.acquire(blocking=False):
            raise BusyError
        future = self._threads.submit(work)
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)
