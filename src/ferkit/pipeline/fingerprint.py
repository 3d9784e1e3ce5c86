"""Tell one job from another: digests of what decides its result."""

import hashlib
from collections.abc import Iterable
from pathlib import Path


def digest(parts: Iterable[str]) -> str:
    """Return the hex SHA-256 of a list of texts."""
    result = hashlib.sha256()
    for part in parts:
        result.update(part.encode("utf-8", "surrogateescape") + b"\0")
    return result.hexdigest()


def stamp(path: Path) -> str:
    """Return a file's place, size and time as text."""
    try:
        status = path.stat()
    except OSError:  # a link that leads nowhere; reading it will say so
        return f"{path} missing"
    return f"{path} {status.st_size} {status.st_mtime_ns}"
