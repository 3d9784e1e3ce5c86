"""Reading pictures: whatever is in the file becomes upright 8-bit RGB, as many at once as fit into memory."""

import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, partial
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, SAMPLEFORMAT, ImageFileDirectory_v2, TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from ferkit.data.media import HEAD, is_raw, why_unread
from ferkit.errors import UnreadableImageError


class MemoryBudget:
    """Lets threads in as long as what they ask for fits together; what is larger than the whole budget goes alone.

    Args:
        total: bytes.
    """

    def __init__(self, total: int) -> None:
        self._total = self._free = total
        self._changed = threading.Condition()

    @contextmanager
    def reserve(self, wanted: int) -> Iterator[None]:
        """Wait until ``wanted`` bytes are free, and hold them for the block."""
        taken = min(wanted, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= taken)
            self._free -= taken
        try:
            yield
        finally:
            with self._changed:
                self._free += taken
                self._changed.notify_all()


DECODING = MemoryBudget(1_600_000_000)
"""About what a picture of 200 megapixels takes while it becomes RGB."""


ScaleOf = Callable[[tuple[int, int]], int]

MAX_PIXELS = 300_000_000  # 0.9 GB as RGB; larger headers are more often an attack than a photo

# Others that Pillow knows start programs (EPS) or are no photos; their parsers stay out of reach of strangers' files.
_READERS = (
    *(JpegImageFile, PngImageFile, WebPImageFile, BmpImageFile, TiffImageFile, GifImageFile),
    *(AvifImageFile, PpmImageFile, Jpeg2KImageFile),
)
_FORMATS = [str(reader.format) for reader in _READERS]
# What white is worth in the modes deeper than 8 bits; where a mode leaves it open, the least that the pixels fit in.
_WHITES = {"I": (65535.0, 2.0**31 - 1), "F": (1.0, 255.0, 65535.0)}
_CUT_SHORT, _JPEG_END, _MISSING = "image file is truncated", b"\xff\xd9", 0.02
"""What Pillow says of a file that ends early, how a JPEG ends, and the share of its rows that may be lost."""
_TIFF_STARTS, _FLOAT = (b"II*\0", b"MM\0*"), 3
_EXIF_FOLDER, _TAKEN, _TAKEN_PART, _CHANGED = 0x8769, 0x9003, 0x9291, 0x0132
_BAND = 256  # rows
_ORIENTATION = 0x0112  # the EXIF tag; the turn that its value asks for:
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DAMAGE = (
    *(OSError, SyntaxError, ValueError, EOFError, TypeError, LookupError, ArithmeticError, RuntimeError, MemoryError),
    *(struct.error, zlib.error, Image.DecompressionBombError),
    UserWarning,  # Pillow's remarks, where the program around us turns warnings into errors
)
_opening = threading.Lock()


def read_image(source: Path | bytes, name: str | None = None, *, at_least: int | None = None) -> NDArray[np.uint8]:
    """Return the picture as (H, W, 3) uint8 RGB, upright; see `read_image_scaled`."""
    return read_image_scaled(source, name, at_least=at_least)[0]


def read_image_scaled(
    source: Path | bytes, name: str | None = None, *, at_least: int | None = None, scale: ScaleOf | None = None
) -> tuple[NDArray[np.uint8], int]:
    """Read a picture, smaller than it is if that will do.

    EXIF rotation is applied; gray, palette and CMYK become RGB; transparency is laid over white; 16 bits and floats are
    scaled to 8, not clipped; of several frames the first is taken. A JPEG whose last fiftieth is missing is read.

    Args:
        source: a file, or the bytes of one.
        name: what errors call it; by default the path.
        at_least: how many pixels the longer side must keep; None keeps them all. A JPEG is then decoded at 1/2, 1/4
            or 1/8 of its size, several times as fast.
        scale: in place of ``at_least``, says the scale for a picture of this width and height as stored.

    Returns:
        (H, W, 3) uint8 RGB, and the scale s in {1, 2, 4, 8}: the pixel centre (x, y) of the result lies at
        ((x + 0.5) * s - 0.5, (y + 0.5) * s - 0.5) of the upright original (up to s - 1 of its pixels off where EXIF
        turns a picture whose sides are no multiples of s).

    Raises:
        UnreadableImageError: the file is missing, no image, cut short, or beyond `MAX_PIXELS`.
    """
    called = _source_name(source, name)
    scale_of = partial(_reduction, at_least=at_least) if scale is None else scale
    with _errors(source, called):
        try:
            return _read(source, called, scale_of)
        except OSError as error:
            if _CUT_SHORT not in str(error):
                raise
            content = source if isinstance(source, bytes) else source.read_bytes()
            return _read(content + _JPEG_END, called, scale_of, error)


def _read(
    source: Path | bytes, called: str, scale_of: ScaleOf, cut_short: OSError | None = None
) -> tuple[NDArray[np.uint8], int]:
    with _open(source, called) as image:
        if cut_short and (image.format != "JPEG" or image.info.get("progressive")):  # a scan short, all of it is coarse
            raise cut_short
        step = min(scale_of(image.size), min(image.size))
        width, height = image.size
        # A JPEG's decoder does the shrinking; other formats decline.
        drafted = step > 1 and image.draft(None, (width // step, height // step)) is not None
        with DECODING.reserve(image.width * image.height * (4 + 4 + 3)):  # as stored, as Pillow's RGB, as an array
            rgb = _to_rgb(image)
            if cut_short and _even_rows(rgb) > _MISSING * rgb.height:
                raise cut_short
            if step > 1 and not drafted:
                rgb = rgb.reduce(step)
            turn = _TURNS.get(_orientation(image))
            return np.array(rgb if turn is None else rgb.transpose(turn)), step


def _even_rows(image: Image.Image) -> int:
    """How many rows at the bottom have one colour each, as those have that a JPEG's decoder had no data for."""
    pixels = np.asarray(image)
    uneven = (pixels != pixels[:, :1]).any(axis=(1, 2))
    return int(np.append(uneven[::-1], True).argmax())  # all of them, where none is uneven


def image_size(source: Path | bytes, name: str | None = None) -> tuple[int, int]:
    """Return (width, height) as stored, from the header alone; `UnreadableImageError` as in `read_image_scaled`."""
    with _errors(source, _source_name(source, name)), _open(source, _source_name(source, name)) as image:
        return image.size


def capture_time(source: Path | bytes, name: str | None = None) -> float | None:
    """Return when a photo was taken by its EXIF data, in seconds of the camera's clock; None where they do not say.

    Only differences mean something: nothing says which time zone the clock was set to.

    Raises:
        UnreadableImageError: as `read_image`.
    """
    with _errors(source, _source_name(source, name)), _open(source, _source_name(source, name)) as image:
        try:
            exif = image.getexif()
            tags = exif.get_ifd(_EXIF_FOLDER)
            taken = datetime.strptime(str(tags.get(_TAKEN) or exif.get(_CHANGED)).strip("\0 "), "%Y:%m:%d %H:%M:%S")
            part = str(tags.get(_TAKEN_PART) or "0").strip("\0 ")
            return taken.replace(tzinfo=UTC).timestamp() + float(f"0.{part}")
        except _DAMAGE:  # of the EXIF data, or there are none
            return None


@contextmanager
def _errors(source: Path | bytes, called: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGE as error:
        raise UnreadableImageError(called, _reason(source, called, error)) from error


def _source_name(source: Path | bytes, name: str | None) -> str:
    return name or (str(source) if isinstance(source, Path) else "image bytes")


def _head(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:HEAD]
    with source.open("rb") as file:
        return file.read(HEAD)


def _reason(source: Path | bytes, called: str, error: BaseException) -> str:
    if isinstance(error, UnidentifiedImageError):
        head = _head(source)
        return (why_unread(called, head) or "its content is no image") if head else "it is empty"
    text = (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
    return " ".join(text.split())


@contextmanager
def _open(source: Path | bytes, called: str) -> Iterator[Image.Image]:
    if is_raw(called):  # a TIFF by its first bytes, of which Pillow would show the thumbnail
        raise UnidentifiedImageError(called)
    with _open_unlimited(source) as image:
        width, height = image.size
        if width * height > MAX_PIXELS:
            raise ValueError(f"{width} x {height} pixels are more than {MAX_PIXELS // 10**6} million")
        yield image


def _open_unlimited(source: Path | bytes) -> Image.Image:
    # Pillow's limit is one number for the whole process, on which the program around us may rely: lift it only while
    # the header is parsed. Ours is checked before any pixel is decoded.
    with _opening:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(source if isinstance(source, Path) else BytesIO(source), formats=_FORMATS)
        except UnidentifiedImageError:
            if _head(source).startswith(_TIFF_STARTS):
                return _float_tiff(source)
            if not _heif_is_registered():
                raise
            return Image.open(source if isinstance(source, Path) else BytesIO(source), formats=["HEIF"])
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _float_tiff(source: Path | bytes) -> Image.Image:
    """Read a TIFF that Pillow has no mode for, such as one of colours in floating point, as 8 bits."""
    import cv2  # most pictures need it not

    file = BytesIO(source if isinstance(source, bytes) else source.read_bytes())
    tags = ImageFileDirectory_v2(file.read(8))
    file.seek(tags.next)
    tags.load(file)
    if tags.get(IMAGEWIDTH, 0) * tags.get(IMAGELENGTH, 0) > MAX_PIXELS or _FLOAT not in tags.get(SAMPLEFORMAT, ()):
        raise UnidentifiedImageError
    pixels = cv2.imdecode(np.frombuffer(file.getbuffer(), np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.shape[2:] != (3,):
        raise UnidentifiedImageError
    levels = np.nan_to_num(pixels[:, :, ::-1].astype(np.float32))
    return Image.fromarray(_to_8_bits(levels, _white("F", float(levels.max()))))


@cache
def _heif_is_registered() -> bool:
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener()
    return True


def _reduction(size: tuple[int, int], at_least: int | None) -> int:
    if at_least is None:
        return 1
    return next(s for s in (8, 4, 2, 1) if s == 1 or (max(size) // s >= at_least and min(size) >= s))


def _to_rgb(image: Image.Image) -> Image.Image:
    image.load()
    deep = image.mode.startswith(("I", "F"))
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if not deep and not image.has_transparency_data:
        return image.convert("RGB")
    # A band at a time: copies of the whole, four bytes a pixel each, would take gigabytes where the file takes one.
    width, height = image.size
    bands = [(0, top, width, min(top + _BAND, height)) for top in range(0, height, _BAND)]
    white = _white(image.mode, max(float(_levels(image.crop(band)).max()) for band in bands)) if deep else 0.0
    rgb = Image.new("RGB", image.size, "white")
    for band in bands:
        part = image.crop(band)
        if deep:
            rgb.paste(Image.fromarray(_to_8_bits(_levels(part), white)), band)
        else:
            visible = part.convert("RGBA")
            rgb.paste(visible, band, mask=visible)
    return rgb


def _levels(part: Image.Image) -> NDArray[np.float32]:
    levels: NDArray[np.float32] = np.nan_to_num(np.asarray(part).astype(np.float32))
    return levels


def _white(mode: str, peak: float) -> float:
    return next((white for white in _WHITES.get(mode, (65535.0,)) if peak <= white), peak)


def _to_8_bits(levels: NDArray[np.float32], white: float) -> NDArray[np.uint8]:
    scaled: NDArray[np.float32] = np.clip(levels * (255 / white) + 0.5, 0, 255)
    return scaled.astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    # Asked after loading: Pillow turns some formats (TIFF) itself then, and takes the tag away.
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except _DAMAGE:
        return 1  # a damaged EXIF block is no reason to refuse the picture
