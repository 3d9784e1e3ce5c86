"""When pictures were taken: as the camera says, else as the file says."""

from datetime import UTC, datetime
from pathlib import Path

from PIL import Image

from ferkit.data.media import IMAGE_SUFFIXES

_FORMATS = ("JPEG", "TIFF", "WEBP")
_EXIF_BLOCK, _TAKEN = 0x8769, 0x9003


def month_taken(path: Path) -> str | None:
    """Return the month in which a picture was taken, such as ``2024-05``; None where the file is not there.

    The camera's own date stands in its EXIF; other files have the time when they were last written.
    """
    try:
        return _exif_month(path) or datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m")
    except OSError:
        return None


def _exif_month(path: Path) -> str | None:
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        return None
    try:
        with Image.open(path, formats=_FORMATS) as image:
            text = str(image.getexif().get_ifd(_EXIF_BLOCK).get(_TAKEN, ""))
        return datetime.strptime(text[:7], "%Y:%m").strftime("%Y-%m")
    except Exception:  # noqa: BLE001 (a damaged header is no reason to leave the picture out)
        return None
