"""Fits of many small products, which threads slow down."""

from contextlib import AbstractContextManager

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]


def one_thread() -> AbstractContextManager[object]:
    """Return a context in which BLAS and OpenMP compute on one thread.

    A fit of thousands of products of milliseconds gains little from a second core, and where another process holds that
    core, each product waits for it: 30,000 x 512 on two busy cores takes 5 s so, and 80 s with two threads.
    """
    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits
