"""The hash that weights are known by."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ferkit.errors import WeightsError

__all__ = ["sha256_of"]


def sha256_of(data: Path | bytes) -> str:
    """Return the SHA-256 of a file, or of bytes, as 64 hexadecimal digits.

    Raises:
        WeightsError: the file is missing or cannot be read.
    """
    if not isinstance(data, Path):
        return hashlib.sha256(data).hexdigest()
    try:
        with data.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        why = error.strerror or error
        raise WeightsError(f"cannot read the weights {str(data)!r} ({why}); install or train them again") from error
