"""Zip archives, and tar files as WebDataset writes them, read where they lie.

Members' names are only names: nothing is unpacked to disk. Of members of one name the last counts, as unpacking would
leave it; folders and hidden files do not.
"""

import os
import re
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Sequence
from functools import partial
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from ferkit.data.media import HEAD, is_archive, is_media
from ferkit.data.sources.classes import class_folders, folder_labels
from ferkit.data.sources.columns import find_columns, read_facts
from ferkit.data.sources.contents import Sources
from ferkit.data.sources.picture import Container, Picture, place_name, unreadable_picture
from ferkit.data.sources.rules import SourceRules
from ferkit.data.sources.tree import is_hidden, member_parts, natural_key
from ferkit.documents import parse_json
from ferkit.errors import InputError, UnreadableImageError

_DAMAGE = (OSError, EOFError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, LZMAError, NotImplementedError)
_ENCRYPTED = 0x1
_LONGEST_TEXT = 2**22
_MAX_BYTES = 2**30  # of one member, unpacked; more is an attack, not a photo

_KEY = re.compile(r"((?:.*/)?[^/.]+)\.([^/]*)")
_SIDECARS = ("txt", "json", "cls")
"""What may stand beside an image and say something of it; a later one overrides those before it."""

_CLASS_WORDS = 3
"""Words that a class may have; a longer text beside an image is its caption."""

_UNPACKERS = {".gz": "gunzip", ".tgz": "gunzip", ".bz2": "bunzip2", ".xz": "unxz", ".zst": "unzstd", ".7z": "7z x"}


def open_zip(path: Path, rules: SourceRules) -> Sources:
    """List the images of a zip archive in natural order, without hidden ones; its folders label them.

    Raises:
        InputError: the file is no zip archive, is damaged, or everything in it is encrypted.
    """
    pictures = _ZipPictures(path, rules)
    return Sources(pictures, labels_from=pictures.labels_from)


class _Members(Container):
    """Members of an archive, which can be found again by their names."""

    def __init__(self, path: Path, names: Sequence[str], rules: SourceRules) -> None:
        self._path, self._names, self._rules = path, names, rules
        self._numbers = {place_name(name): number for number, name in enumerate(names)}

    def __len__(self) -> int:
        return len(self._names)

    def find(self, place: str) -> Picture:
        """Return the picture of the member that `place_name` calls ``place``."""
        return self[self._numbers[place]]

    def _source(self, number: int) -> str:
        return f"{self._path}#{place_name(self._names[number])}"


class _ZipPictures(_Members):
    """The images of a zip archive; one thread reads it at a time."""

    def __init__(self, path: Path, rules: SourceRules) -> None:
        try:
            self._archive = zipfile.ZipFile(path)
        except _DAMAGE as error:
            raise InputError(f"cannot read {str(path)!r} as a zip archive ({error}); give a complete file") from error
        images = {member.filename: member for member in self._archive.infolist() if self._is_media(member)}
        if images and all(member.flag_bits & _ENCRYPTED for member in images.values()):
            raise InputError(
                f"the pictures in {str(path)!r} are encrypted; unpack it with its password, name the folder"
            )
        names = sorted(images, key=lambda name: [natural_key(part) for part in member_parts(name)])
        super().__init__(path, names, rules)
        self._images = images
        self._lock = threading.Lock()
        listings = [name for name in self._archive.namelist() if name.endswith((".yaml", ".yml"))]
        self._labels, self.labels_from = folder_labels(
            names, [member_parts(name) for name in names], listings, self._text
        )

    def _at(self, number: int) -> Picture:
        name, source = self._names[number], self._source(number)
        picture = Picture(source, self._labels[number], fetch=partial(self._bytes, source, self._images[name]))
        return self._rules.apply(picture, name)

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

    def _text(self, name: str) -> str:
        try:
            return self._begin(name, _LONGEST_TEXT).decode("utf-8")
        except _DAMAGE as error:
            raise ValueError(str(error)) from error

    def _is_media(self, member: zipfile.ZipInfo) -> bool:
        if member.is_dir() or is_hidden(member_parts(member.filename)):
            return False
        if is_archive(member.filename):
            return True
        try:
            return is_media(member.filename, self._begin(member, HEAD))
        except _DAMAGE:
            return is_media(member.filename, None)

    def _begin(self, member: zipfile.ZipInfo | str, most: int) -> bytes:
        with self._archive.open(member) as file:
            return file.read(most)


class _Member(NamedTuple):
    """A file in a tar file: its name, where its bytes begin, and how many they are."""

    name: str
    offset: int
    size: int
    is_link: bool = False

    @property
    def end(self) -> int:
        """Where its bytes end."""
        return self.offset + self.size


def open_tar(path: Path, rules: SourceRules) -> Sources:
    """List the images of a tar file in its own order, without hidden ones.

    Files whose names agree up to the first dot are one sample. Its label is what ``.cls``, the ``label`` of ``.json``
    or ``.txt`` holds, the first of these that is there, else its class folder; ``.json`` may also hold what the other
    columns of tables do. Of a file that is cut short or damaged, what comes before is read.

    Raises:
        InputError: the file is no tar file, is compressed, or is damaged before its first image ends.
    """
    pictures = _TarPictures(path, rules)
    return Sources(pictures, labels_from=pictures.labels_from)


def refuse_compressed(path: Path, rules: SourceRules) -> Sources:
    """Raise `InputError`: pictures in a compressed file cannot be read one by one."""
    unpacker = _UNPACKERS[path.suffix.lower()]
    raise InputError(f"{str(path)!r} is compressed, so that no picture in it can be found; unpack it with `{unpacker}`")


class _TarPictures(_Members):
    """The images of a tar file; threads may read it at once. Of a damaged one, one more picture stands for the rest."""

    def __init__(self, path: Path, rules: SourceRules) -> None:
        self._path = path
        try:
            members, self._whole = _index(path)
            self._images = [member for member in members if self._is_media(member)]
            complete = [image for image in self._images if image.end <= path.stat().st_size]
        except (OSError, tarfile.TarError) as error:
            raise InputError(
                f"cannot read {str(path)!r} as a tar file ({error}); give a complete, plain one"
            ) from error
        if not self._whole and not complete:
            raise InputError(
                f"the tar file {str(path)!r} is cut short before its first image ends; give a complete file"
            )
        super().__init__(path, [image.name for image in self._images], rules)
        self._classes = class_folders([member_parts(name) for name in self._names])
        self._sidecars = _sidecars(members)
        self.labels_from = " or ".join(["sidecars"] * bool(self._sidecars) + ["class folders"] * any(self._classes))

    def __len__(self) -> int:
        return len(self._images) + (not self._whole)

    def _at(self, number: int) -> Picture:
        if number == len(self._images):
            return unreadable_picture(
                f"{self._path}#end", "the tar file is cut short or damaged behind the members before"
            )
        image = self._images[number]
        source = self._source(number)
        try:
            facts = read_facts({"label": self._classes[number]} | self._read_sidecars(image))
        except (ValueError, OSError) as error:
            return unreadable_picture(source, str(error))
        picture = Picture(source, fetch=partial(self._bytes, source, image), **facts)
        return self._rules.apply(picture, image.name)

    def _bytes(self, source: str, image: _Member) -> bytes:
        try:
            return self._read(image)
        except (ValueError, OSError) as error:
            raise UnreadableImageError(source, str(error)) from error

    def _read(self, member: _Member) -> bytes:
        if member.is_link:
            raise ValueError("it is a link within the tar file: pack the files that links lead to (`tar -h`)")
        # Opened anew each time: threads can read at once, and any number of shards needs no open files.
        with self._path.open("rb") as file:
            if member.offset + member.size > os.fstat(file.fileno()).st_size:
                raise ValueError(f"the tar file is cut short within {member.name!r}")
            file.seek(member.offset)
            return file.read(member.size)

    def _is_media(self, member: _Member) -> bool:
        if is_archive(member.name) or is_media(member.name, None):
            return True
        if PurePosixPath(member.name).suffix.lower().removeprefix(".") in _SIDECARS or member.is_link:
            return False
        with self._path.open("rb") as file:
            file.seek(member.offset)
            return is_media(member.name, file.read(min(HEAD, member.size)))

    def _read_sidecars(self, image: _Member) -> dict[str, Any]:
        """Return what stands beside an image, by our names; `ValueError` where it cannot be understood."""
        values: dict[str, Any] = {}
        beside = self._sidecars.get(_key(image), {})
        for kind, sidecar in ((kind, beside[kind]) for kind in _SIDECARS if kind in beside):
            text = self._read(sidecar).decode("utf-8-sig").strip()
            said = self._of_json(sidecar, text) if kind == "json" else {"label": text}
            if kind == "txt" and len(text.split()) > _CLASS_WORDS:  # a caption
                continue
            values |= {name: value for name, value in said.items() if value is not None}
        return values

    def _of_json(self, sidecar: _Member, text: str) -> dict[str, Any]:
        try:
            said = parse_json(text)
        except ValueError as error:
            raise ValueError(f"{sidecar.name!r} beside it cannot be read ({error})") from error
        if not isinstance(said, dict):
            raise ValueError(f"{sidecar.name!r} beside it is no JSON object")
        keys = find_columns(said, SourceRules(), self._path) | dict(self._rules.columns)
        return {ours: said.get(theirs) for ours, theirs in keys.items()}


def _index(path: Path) -> tuple[list[_Member], bool]:
    """Read the headers of a tar file, and whether it ends as it should."""
    members: dict[str, _Member] = {}
    with tarfile.open(path, "r:", errors="backslashreplace") as tar:
        try:
            while (header := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # else every header stays in memory, a kilobyte each
                is_link = header.issym() or header.islnk()
                if (header.isreg() or is_link) and not is_hidden(member_parts(header.name)):
                    members[header.name] = _Member(header.name, header.offset_data, header.size, is_link)
        except tarfile.ReadError:
            return list(members.values()), False
        return list(members.values()), _ends_at(path, tar.offset)


def _ends_at(path: Path, offset: int) -> bool:
    """Say whether nothing or only zeros stand at the place where a tar file had no further header."""
    with path.open("rb") as file:
        file.seek(offset)
        return not any(file.read(tarfile.BLOCKSIZE))


def _sidecars(members: Sequence[_Member]) -> dict[str, dict[str, _Member]]:
    """Return what stands beside each key's image, by its kind."""
    found: dict[str, dict[str, _Member]] = {}
    for member in members:
        match = _KEY.fullmatch(member.name)
        if match and match[2].lower() in _SIDECARS:
            found.setdefault(match[1], {})[match[2].lower()] = member
    return found


def _key(member: _Member) -> str:
    match = _KEY.fullmatch(member.name)
    return match[1] if match else member.name
