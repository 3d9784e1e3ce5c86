import resource
from contextlib import contextmanager

import pytest


@pytest.fixture
def file_size_limit():
    """A context manager that caps how large files may grow: real short writes, without a full disk."""

    @contextmanager
    def limited(size):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:  # before pytest goes on, whose own log may be longer
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited
