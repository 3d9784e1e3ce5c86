"""Tell one job from another: digests of what decides its result."""

import hashlib
from collections.abc import Iterable


def digest(parts: Iterable[str]) -> str:
    """Return the hex SHA-256 of a list of texts."""
    result = hashlib.sha256()
    for part in parts:
        result.update(part.encode("utf-8", "surrogateescape") + b"\0")
    return result.hexdigest()
