"""Outputs appear whole or not at all: written under a temporary name, flushed to disk, then renamed."""

import ctypes
import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ferkit.errors import OutputError
from ferkit.locks import output_lock

_ASIDE = ".replaced-by-ferkit"
_TEMPORARY = re.compile(rf"\..+(\.partial(\.[^.]*)?(\.lock)?|\.lock|{re.escape(_ASIDE)})")


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` to write a file or folder to; it becomes ``target`` on leaving.

    If the block raises, the temporary path is removed and ``target`` stays as it was. Missing parent folders are made.
    The temporary path's name is always the same, so that the next writer removes what a killed one left; two that
    write at once take turns.

    Raises:
        OutputError: the block or the renaming met an `OSError`, such as a full disk, or ``target`` is a device.
    """
    if target.exists() and not (target.is_file() or target.is_dir()):
        raise OutputError(f"{str(target)!r} is a device and would be replaced by a file; choose another output")
    # The suffix stays last because some writers add theirs to a name that lacks it.
    temporary = target.with_name(f".{target.stem}.partial{target.suffix}")
    with output_errors(target), output_lock(temporary, wait=True):
        put_back(target)
        remove(temporary)
        try:
            yield temporary
            flush_to_disk(temporary)
            put_in_place(temporary, target)
        finally:
            remove(temporary)


@contextmanager
def output_errors(target: Path) -> Iterator[None]:
    """Turn an `OSError` of the block into the `OutputError` that names ``target``."""
    try:
        yield
    except OSError as error:
        # numpy reports a short write without an errno, hence without strerror.
        reason = error.strerror or f"not all of it fits ({error})"
        advice = "free some space or " if error.errno in (None, errno.ENOSPC, errno.EDQUOT) else ""
        raise OutputError(
            f"cannot write {str(target)!r}: {reason}; {advice}choose another output; nothing was changed"
        ) from error


def put_in_place(temporary: Path, target: Path) -> None:
    """Rename ``temporary`` to ``target``; both are files, or both are folders.

    A folder that was there has the name ``temporary`` afterwards. Where the system can exchange two names in one step,
    ``target`` always exists; elsewhere a kill may leave the old folder aside, until `put_back`.
    """
    if not (target.is_dir() and temporary.is_dir()):
        temporary.replace(target)
    elif not _exchanged(temporary, target):
        aside = _aside(target)
        target.rename(aside)
        try:
            temporary.rename(target)
        except OSError:
            aside.rename(target)
            raise
        aside.rename(temporary)
    _flush_entry(target.parent)


def put_back(target: Path) -> None:
    """Undo, or finish, the replacement of a folder that was killed halfway through; call it under the lock."""
    aside = _aside(target)
    if aside.is_dir() and not target.exists():
        aside.rename(target)
    remove(aside)


def flush_to_disk(path: Path) -> None:
    """Make sure that a file, or all files right in a folder, would survive a power cut."""
    if path.is_dir():
        for child in path.iterdir():
            _flush_entry(child)
    _flush_entry(path)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder that is ours, if it is there; what cannot be removed is left."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def is_temporary(path: Path) -> bool:
    """Whether a file or folder has a name that `atomic_path` or a lock gives, and so may be left of a killed run."""
    return _TEMPORARY.fullmatch(path.name) is not None


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}{_ASIDE}")


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where the system cannot."""
    if os.name != "posix":
        return False
    libc, (first, second) = ctypes.CDLL(None), (os.fsencode(one.absolute()), os.fsencode(other.absolute()))
    here, exchange = -100, 2  # AT_FDCWD; RENAME_EXCHANGE, and RENAME_SWAP of macOS
    if hasattr(libc, "renameat2"):
        return bool(libc.renameat2(here, first, here, second, exchange) == 0)
    return bool(hasattr(libc, "renamex_np") and libc.renamex_np(first, second, exchange) == 0)


def _flush_entry(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows has no handle of a folder that could be flushed
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
