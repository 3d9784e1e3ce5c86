"""Tell without reading whether a file is still the one that was read."""

from pathlib import Path


def file_state(path: Path) -> tuple[int, ...]:
    """Return size, times and place on disk of a file; raises `OSError` if it is not there.

    A file that is replaced with its size and its time of change kept has another inode or status time. Windows alone
    has no status time, so that what outlives a process there is known by its content.
    """
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
