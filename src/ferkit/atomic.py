"""Outputs appear whole or not at all: written under a temporary name, flushed to disk, then renamed."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from ferkit.errors import OutputError

__all__ = ["atomic_path", "atomic_paths", "flush_to_disk", "output_errors", "put_in_place", "remove"]


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` to write a file or folder to; it becomes ``target`` on leaving.

    If the block raises, the temporary path is removed and ``target`` stays as it was. Missing parent folders are made.

    Raises:
        OutputError: the block or the renaming met an `OSError`, such as a full disk, or ``target`` is a device.
    """
    with atomic_paths([target]) as (temporary,):
        yield temporary


@contextmanager
def atomic_paths(targets: Sequence[Path]) -> Iterator[list[Path]]:
    """Do as `atomic_path` for outputs that belong together: none is renamed before all are safely on disk.

    The renames follow the order of ``targets``; only a crash between two of them can leave a mixture, so one of the
    outputs should carry a digest of the others.
    """
    for target in targets:
        _refuse_special(target)
    # The suffix stays last because some writers add theirs to a name that lacks it.
    temporaries = [target.with_name(f".{target.stem}.{uuid4().hex[:8]}{target.suffix}") for target in targets]
    try:
        with output_errors(targets[0]):
            for target in targets:
                target.parent.mkdir(parents=True, exist_ok=True)
            yield temporaries
            for temporary in temporaries:
                flush_to_disk(temporary)
            for temporary, target in zip(temporaries, targets, strict=True):
                put_in_place(temporary, target)
    finally:
        for temporary in temporaries:
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
    """Rename ``temporary`` to ``target``, replacing what is there; both are files, or both are folders."""
    if not (target.is_dir() and temporary.is_dir()):
        temporary.replace(target)
    else:
        _swap_folders(temporary, target)
    _flush_entry(target.parent)


def flush_to_disk(path: Path) -> None:
    """Make sure that a file, or all files right in a folder, would survive a power cut."""
    if path.is_dir():
        for child in path.iterdir():
            _flush_entry(child)
    _flush_entry(path)


def remove(path: Path) -> None:
    """Remove a file or folder that is ours, if it is there; what cannot be removed is left."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    elif path.exists():
        path.unlink()


def _swap_folders(temporary: Path, target: Path) -> None:
    # A folder that holds something cannot be replaced in one step: the old one steps aside and comes back on failure.
    aside = target.with_name(f".{target.name}.{uuid4().hex[:8]}.old")
    target.rename(aside)
    try:
        temporary.rename(target)
    except OSError:
        aside.rename(target)
        raise
    remove(aside)


def _refuse_special(target: Path) -> None:
    if target.exists() and not (target.is_file() or target.is_dir()):
        raise OutputError(f"{str(target)!r} is a device and would be replaced by a file; choose another output")


def _flush_entry(path: Path) -> None:
    if path.is_dir() and os.name == "nt":
        return  # Windows has no handle of a folder that could be flushed
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
