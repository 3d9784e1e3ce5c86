"""Run one function over several items side by side, each on one thread."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

_pool_in_use = threading.Lock()


def map_in_threads(function: Callable[[Item], Result], items: Sequence[Item], workers: int) -> list[Result]:
    """Map ``function`` over ``items`` in ``workers`` threads, in which torch does not split its own work further.

    Small convolutions gain little from many threads; groups of images on a thread each gain all of it. A lone item, or
    one worker, runs in the caller's thread with torch's own threads. torch's number of threads is a setting of the
    process: it is 1 while this runs and the caller's again afterwards, so calls from several threads take turns.

    Args:
        function: called once an item; what it raises is raised here.
        items: its arguments.
        workers: threads at most, at least 1.

    Returns:
        The results in the order of the items.
    """
    workers = min(workers, len(items))
    if workers < 2:
        return [function(item) for item in items]
    with _pool_in_use:
        threads = torch.get_num_threads()
        try:
            with ThreadPoolExecutor(workers, "ferkit", torch.set_num_threads, (1,)) as pool:
                return list(pool.map(function, items))
        finally:
            torch.set_num_threads(threads)
