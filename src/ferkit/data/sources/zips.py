"""Zip archives, read where they lie: members' names are only names, nothing is unpacked to disk."""

import threading
import zipfile
import zlib
from collections.abc import Sequence
from functools import partial
from lzma import LZMAError
from pathlib import Path

from ferkit.data.media import HEAD, is_archive, is_media
from ferkit.data.sources.classes import class_folders, yolo_classes
from ferkit.data.sources.contents import Sources
from ferkit.data.sources.picture import Container, Picture, place_name
from ferkit.data.sources.rules import SourceRules
from ferkit.data.sources.tree import is_hidden, member_parts, natural_key
from ferkit.errors import InputError, UnreadableImageError

_DAMAGE = (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, LZMAError)
_ENCRYPTED = 0x1
_LONGEST_TEXT = 2**22
_MAX_BYTES = 2**30  # of one member, unpacked; more is an attack, not a photo


def open_zip(path: Path, rules: SourceRules) -> Sources:
    """List the images of a zip archive in natural order, without hidden ones; its folders label them.

    Raises:
        InputError: the file is no zip archive, is damaged, or everything in it is encrypted.
    """
    try:
        archive = zipfile.ZipFile(path)
    except _DAMAGE as error:
        raise InputError(f"cannot read {str(path)!r} as a zip archive ({error}); give a complete file") from error
    members = _images(archive)
    if members and all(member.flag_bits & _ENCRYPTED for member in members):
        raise InputError(f"the pictures in {str(path)!r} are encrypted; unpack it with its password, name the folder")
    names = [member.filename for member in members]
    listings = [name for name in archive.namelist() if name.endswith((".yaml", ".yml"))]
    labels, where = yolo_classes(names, listings, partial(_text, archive)), "YOLO's label files"
    if not any(labels):
        labels, where = class_folders([member_parts(name) for name in names]), "class folders"
    return Sources(ZipPictures(path, archive, members, labels, rules), labels_from=where if any(labels) else "")


class ZipPictures(Container):
    """The images of a zip archive; one thread reads it at a time.

    Args:
        path: the archive.
        archive: the same, open.
        members: its images, in the order to go by.
        labels: their labels.
        rules: how labels and identities are read from the members' names.
    """

    def __init__(
        self,
        path: Path,
        archive: zipfile.ZipFile,
        members: Sequence[zipfile.ZipInfo],
        labels: Sequence[str | None],
        rules: SourceRules,
    ) -> None:
        self._path = path
        self._archive = archive
        self._members = members
        self._labels = labels
        self._numbers = {place_name(member.filename): number for number, member in enumerate(members)}
        self._rules = rules
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._members)

    def find(self, place: str) -> Picture:
        """Return the picture of the member that `place_name` calls ``place``."""
        return self[self._numbers[place]]

    def _at(self, number: int) -> Picture:
        member = self._members[number]
        source = f"{self._path}#{place_name(member.filename)}"
        picture = Picture(source, self._labels[number], fetch=partial(self._bytes, source, member))
        return self._rules.apply(picture, member.filename)

    def _bytes(self, source: str, member: zipfile.ZipInfo) -> bytes:
        if member.flag_bits & _ENCRYPTED:
            raise UnreadableImageError(source, "it is encrypted")
        if member.file_size > _MAX_BYTES:
            raise UnreadableImageError(source, f"it has {member.file_size:,} bytes, more than a picture")
        try:
            with self._lock:
                return self._archive.read(member)
        except _DAMAGE as error:
            raise UnreadableImageError(source, f"the zip archive is damaged here: {error}") from error


def _text(archive: zipfile.ZipFile, name: str) -> str:
    try:
        with archive.open(name) as file:
            return file.read(_LONGEST_TEXT).decode("utf-8")
    except (*_DAMAGE, NotImplementedError) as error:
        raise ValueError(str(error)) from error


def _images(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """Return what looks like media, in natural order; of those of one name the last, as unpacking would leave it."""
    members = {member.filename: member for member in archive.infolist() if _is_media(archive, member)}
    return sorted(members.values(), key=lambda member: [natural_key(part) for part in member_parts(member.filename)])


def _is_media(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bool:
    if member.is_dir() or is_hidden(member_parts(member.filename)):
        return False
    return is_archive(member.filename) or is_media(member.filename, _head(archive, member))


def _head(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes | None:
    try:
        with archive.open(member) as file:
            return file.read(HEAD)
    except (*_DAMAGE, NotImplementedError):
        return None
