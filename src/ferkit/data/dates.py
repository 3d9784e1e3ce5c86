"""When pictures were taken: as the camera says, else as the file says."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from ferkit.data.images import capture_time
from ferkit.data.media import IMAGE_SUFFIXES
from ferkit.errors import UnreadableImageError


def month_taken(path: Path) -> str | None:
    """Return the month in which a picture was taken, such as ``2024-05``; None where the file is not there.

    The camera's own date stands in its EXIF data; other files have the time when they were last written.
    """
    time_s = None
    if path.suffix.lower() in IMAGE_SUFFIXES:
        with suppress(UnreadableImageError):
            time_s = capture_time(path)
    try:
        return datetime.fromtimestamp(path.stat().st_mtime if time_s is None else time_s, UTC).strftime("%Y-%m")
    except OSError:
        return None
