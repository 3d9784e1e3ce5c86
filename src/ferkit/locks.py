"""One writer at a time: whoever writes an output holds a lock of the operating system on it, to the last rename."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ferkit.errors import BusyError, OutputError

_LOCKED_BYTE = 1 << 20  # on Windows nobody may read a locked byte, and the first ones say who is at work


@contextmanager
def output_lock(target: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold the lock of ``target`` for the block; the system lets go of it however the process ends.

    The lock is on the file ``.<name>.lock`` beside ``target``, which says who holds it and is gone afterwards. Missing
    parent folders are made. Where the file system knows no locks, none is held.

    Args:
        target: the output, which need not exist.
        wait: until it is free.

    Raises:
        BusyError: another run writes ``target``, and ``wait`` is not set.
        OutputError: no file can have this name.
        OSError: the folder cannot be written.
    """
    require_name(target)
    path = target.with_name(f".{target.name}.lock")
    while True:
        handle = _opened(path)
        try:
            _lock(handle, target, wait)
            # Whoever held it before has removed the file that was waited for; then another run may lock a new one.
            current = path.exists() and os.path.samestat(os.fstat(handle), path.stat())
        except BaseException:
            os.close(handle)
            raise
        if current:
            break
        os.close(handle)
    try:
        with suppress(OSError):  # a full disk
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%H:%M')}".encode())
        yield
    finally:
        try:
            with suppress(OSError):  # Windows removes no open file: there it stays
                path.unlink()
        finally:
            os.close(handle)


def require_name(target: Path) -> None:
    """Raise an `OutputError` where no file can have this name."""
    if "\0" in str(target):
        raise OutputError(f"{str(target)!r} holds a NUL, which no file's name can; choose another output")


def _opened(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o666)


def _lock(handle: int, target: Path, wait: bool) -> None:
    while not _locked(handle, wait):
        if not wait:
            raise BusyError(target, os.read(handle, 200).decode("utf-8", "replace"))


if os.name == "nt":
    import msvcrt  # pragma: no cover

    def _locked(handle: int, wait: bool) -> bool:  # pragma: no cover
        os.lseek(handle, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _locked(handle: int, wait: bool) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # some network file systems know no locks
            return True
        return True
