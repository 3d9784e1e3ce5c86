"""The hashes that weights and files of the hub are known by."""

import hashlib
from pathlib import Path

from ferkit.errors import WeightsError


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


def sha1s_of(path: Path) -> tuple[str, str]:
    """Return the SHA-1 by which git knows a file (of its length and its bytes), and the one of its bytes alone."""
    data = path.read_bytes()
    return (
        hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest(),
        hashlib.sha1(data, usedforsecurity=False).hexdigest(),
    )


def check_sha256(path: Path, actual: str, expected: str | None) -> None:
    """Refuse a weights file whose hash is not the one of its entry.

    Raises:
        WeightsError: it is not.
    """
    if actual != expected:
        raise WeightsError(
            f"{str(path)!r} has the SHA-256 {actual[:12]}…, not the {str(expected)[:12]}… of its entry, so it is not "
            "used; fetch or train it again"
        )
