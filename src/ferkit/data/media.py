"""What looks like a photo or a video: told by a file's first bytes, and by its suffix where these are not at hand."""

import os
from pathlib import Path, PurePosixPath

HEAD = 512
"""How many of a file's first bytes tell its kind."""


def _suffixes(names: str) -> frozenset[str]:
    return frozenset(f".{name}" for name in names.split())


IMAGE_SUFFIXES = _suffixes("jpg jpeg jpe jfif png webp bmp tif tiff gif avif ppm pgm pbm pnm jp2 j2k heic heif hif")
VIDEO_SUFFIXES = _suffixes("mp4 mov mpg mpeg avi webm mkv m4v flv f4v wmv asf ts mts m2ts 3gp 3g2 ogv vob dv mxf")
_RAW_SUFFIXES = _suffixes("cr2 cr3 crw nef nrw arw srf sr2 dng raf orf rw2 pef srw x3f 3fr rwl")
_OTHER_SUFFIXES = _suffixes("psd xcf svg eps ai jxl jxr exr hdr ico icns tga pcx dds sgi qoi xpm rm rmvb insv braw swf")
_MEDIA_SUFFIXES = IMAGE_SUFFIXES | VIDEO_SUFFIXES | _RAW_SUFFIXES | _OTHER_SUFFIXES
_ARCHIVE_SUFFIXES = _suffixes("zip tar gz tgz bz2 xz zst 7z rar")
_TEXT_SUFFIXES = _suffixes("txt csv tsv json xml cls lst md npy parquet yaml")
_MAYBE_TEXT = _suffixes("ts mts")
"""Suffixes of videos that programs' sources bear as well."""

_IMAGE_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ")
_VIDEO_STARTS = (b"\x1aE\xdf\xa3", b"FLV\x01", b"0&\xb2u\x8ef\xcf\x11", b"\0\0\x01\xba", b"\0\0\x01\xb3", b"OggS")
_IMAGE_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"jp2 ")
_SOUND_BRANDS = (b"M4A ", b"M4B ", b"M4P ")


def is_media(name: str, head: bytes | None) -> bool:
    """Say whether a file looks like a photo or video, whether or not ferkit can read it.

    Args:
        name: its name.
        head: its first `HEAD` bytes; None where they cannot be had.
    """
    suffix = PurePosixPath(name).suffix.lower()
    if suffix in _MAYBE_TEXT:
        return head is None or _kind(head) == "video"
    if suffix in _MEDIA_SUFFIXES:
        return True
    return suffix not in _TEXT_SUFFIXES and bool(head and _kind(head))


def is_video(path: str | Path) -> bool:
    """Say whether a file is a video: by its suffix, or, where that is none of a photo or video, by its first bytes."""
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122 (asked for each row of large tables)
    if suffix in VIDEO_SUFFIXES or suffix in IMAGE_SUFFIXES:
        return suffix in VIDEO_SUFFIXES
    try:
        with Path(path).open("rb") as file:
            return _kind(file.read(HEAD)) == "video"
    except (OSError, ValueError):
        return False


def is_archive(name: str) -> bool:
    """Say whether a file is a packed one, by its suffix."""
    return PurePosixPath(name).suffix.lower() in _ARCHIVE_SUFFIXES


def is_raw(name: str) -> bool:
    """Say whether a file is a camera's raw file."""
    return PurePosixPath(name).suffix.lower() in _RAW_SUFFIXES


def why_unread(name: str, head: bytes) -> str | None:
    """Say what a file is that is no image which ferkit reads, and what to do; None where there is nothing to tell."""
    suffix = PurePosixPath(name).suffix.lower()
    if is_raw(name):
        return "it is a camera's raw file: export it as JPEG"
    if head[4:8] == b"ftyp" and _kind(head) == "image" and head[8:11] != b"avi":
        return "it is HEIC: `pip install 'ferkit[heic]'` reads it"
    if _kind(head) == "video":
        return "it is a video: unpack it from its archive, or name it by a video's suffix"
    if is_archive(name):
        return "it is an archive among pictures: name it itself, or unpack it"
    if suffix in _OTHER_SUFFIXES:
        return f"{suffix} is no format that is read: export it as JPEG or PNG, or as MP4"
    return None


def _kind(head: bytes) -> str | None:
    if head[4:8] == b"ftyp":
        return "image" if head[8:12] in _IMAGE_BRANDS else None if head[8:12] in _SOUND_BRANDS else "video"
    if head.startswith(b"RIFF"):
        return {b"WEBP": "image", b"AVI ": "video"}.get(head[8:12])
    if head.startswith(_IMAGE_STARTS) or (head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace()):
        return "image"
    if head.startswith(b"BM") and head[6:10] == b"\0\0\0\0":
        return "image"
    packets = [start for start in (0, 4) if head[start : start + 1] == b"G"]
    is_stream = any(head[start + size : start + size + 1] == b"G" for start in packets for size in (188, 192))
    return "video" if is_stream or head.startswith(_VIDEO_STARTS) else None
