"""Tar files as WebDataset writes them: an image and what is said of it under one key, read where they lie."""

import os
import re
import tarfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from ferkit.data.media import HEAD, is_archive, is_media
from ferkit.data.sources.classes import class_folders
from ferkit.data.sources.columns import find_columns, read_facts
from ferkit.data.sources.contents import Sources
from ferkit.data.sources.picture import Container, Picture, place_name, refused
from ferkit.data.sources.rules import SourceRules
from ferkit.data.sources.tree import is_hidden, member_parts
from ferkit.documents import parse_json
from ferkit.errors import InputError, UnreadableImageError

_KEY = re.compile(r"((?:.*/)?[^/.]+)\.([^/]*)")
_SIDECARS = ("txt", "json", "cls")
"""What may stand beside an image and say something of it; a later one overrides those before it."""

_CLASS_WORDS = 3
"""Words that a class may have; a longer text beside an image is its caption."""

_UNPACKERS = {".gz": "gunzip", ".tgz": "gunzip", ".bz2": "bunzip2", ".xz": "unxz", ".zst": "unzstd", ".7z": "7z x"}


class Member(NamedTuple):
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
    try:
        members, whole = _index(path)
        size = path.stat().st_size
    except (OSError, tarfile.TarError) as error:
        raise InputError(f"cannot read {str(path)!r} as a tar file ({error}); give a complete, plain one") from error
    pictures = TarPictures(path, members, rules, whole=whole)
    if not whole and not any(image.end <= size for image in pictures.images):
        raise InputError(f"the tar file {str(path)!r} is cut short before its first image ends; give a complete file")
    return Sources(pictures, labels_from=pictures.labels_from)


def refuse_compressed(path: Path, rules: SourceRules) -> Sources:
    """Raise `InputError`: pictures in a compressed file cannot be read one by one."""
    unpacker = _UNPACKERS[path.suffix.lower()]
    raise InputError(f"{str(path)!r} is compressed, so that no picture in it can be found; unpack it with `{unpacker}`")


class TarPictures(Container):
    """The images of a tar file; threads may read it at once.

    Args:
        path: the file.
        members: its files, in its order.
        rules: how labels and identities are read from the images' names.
        whole: False if the file is damaged behind these members; one more picture then stands for the rest.
    """

    def __init__(self, path: Path, members: Sequence[Member], rules: SourceRules, *, whole: bool = True) -> None:
        self._path = path
        self.images = [member for member in members if self._is_media(member)]
        self._classes = class_folders([member_parts(image.name) for image in self.images])
        self._numbers = {place_name(image.name): number for number, image in enumerate(self.images)}
        self._sidecars = _sidecars(members)
        self.labels_from = " or ".join(["sidecars"] * bool(self._sidecars) + ["class folders"] * any(self._classes))
        self._rules = rules
        self._whole = whole

    def __len__(self) -> int:
        return len(self.images) + (not self._whole)

    def find(self, place: str) -> Picture:
        """Return the picture of the member that `place_name` calls ``place``."""
        return self[self._numbers[place]]

    def _at(self, number: int) -> Picture:
        if number == len(self.images):
            return refused(f"{self._path}#end", "the tar file is cut short or damaged behind the members before")
        image = self.images[number]
        source = f"{self._path}#{place_name(image.name)}"
        try:
            facts = read_facts({"label": self._classes[number]} | self._said(image))
        except (ValueError, OSError) as error:
            return refused(source, str(error))
        picture = Picture(source, fetch=partial(self._bytes, source, image), **facts)
        return self._rules.apply(picture, image.name)

    def _bytes(self, source: str, image: Member) -> bytes:
        try:
            return self._read(image)
        except (ValueError, OSError) as error:
            raise UnreadableImageError(source, str(error)) from error

    def _read(self, member: Member) -> bytes:
        if member.is_link:
            raise ValueError("it is a link within the tar file: pack the files that links lead to (`tar -h`)")
        # Opened anew each time: threads can read at once, and any number of shards needs no open files.
        with self._path.open("rb") as file:
            if member.offset + member.size > os.fstat(file.fileno()).st_size:
                raise ValueError(f"the tar file is cut short within {member.name!r}")
            file.seek(member.offset)
            return file.read(member.size)

    def _is_media(self, member: Member) -> bool:
        if is_archive(member.name) or is_media(member.name, None):
            return True
        if _suffix(member).removeprefix(".") in _SIDECARS or member.is_link:
            return False
        with self._path.open("rb") as file:
            file.seek(member.offset)
            return is_media(member.name, file.read(min(HEAD, member.size)))

    def _said(self, image: Member) -> dict[str, Any]:
        """Return what stands beside an image, by our names; `ValueError` where it cannot be understood."""
        values: dict[str, Any] = {}
        for kind, sidecar in sorted(self._sidecars.get(_key(image), {}).items(), key=_rank):
            text = self._read(sidecar).decode("utf-8-sig").strip()
            said = self._of_json(sidecar, text) if kind == "json" else {"label": text}
            if kind == "txt" and len(text.split()) > _CLASS_WORDS:  # a caption
                continue
            values |= {name: value for name, value in said.items() if value is not None}
        return values

    def _of_json(self, sidecar: Member, text: str) -> dict[str, Any]:
        try:
            said = parse_json(text)
        except ValueError as error:
            raise ValueError(f"{sidecar.name!r} beside it cannot be read ({error})") from error
        if not isinstance(said, dict):
            raise ValueError(f"{sidecar.name!r} beside it is no JSON object")
        keys = find_columns(said, SourceRules(), self._path) | dict(self._rules.columns)
        return {ours: said.get(theirs) for ours, theirs in keys.items()}


def _index(path: Path) -> tuple[list[Member], bool]:
    """Read the headers of a tar file, and whether it ends as it should.

    Of members of one name the last counts, as unpacking would leave it; directories and hidden files do not.
    """
    members: dict[str, Member] = {}
    with tarfile.open(path, "r:", errors="backslashreplace") as tar:
        try:
            while (header := tar.next()) is not None:
                tar.members = []  # type: ignore[attr-defined]  # else every header stays in memory, a kilobyte each
                is_link = header.issym() or header.islnk()
                if (header.isreg() or is_link) and not is_hidden(member_parts(header.name)):
                    members[header.name] = Member(header.name, header.offset_data, header.size, is_link)
        except tarfile.ReadError:
            return list(members.values()), False
        return list(members.values()), _ends_at(path, tar.offset)


def _ends_at(path: Path, offset: int) -> bool:
    """Say whether nothing or only zeros stand at the place where a tar file had no further header."""
    with path.open("rb") as file:
        file.seek(offset)
        return not any(file.read(tarfile.BLOCKSIZE))


def _sidecars(members: Sequence[Member]) -> dict[str, dict[str, Member]]:
    """Return what stands beside each key's image, by its kind."""
    found: dict[str, dict[str, Member]] = {}
    for member in members:
        match = _KEY.fullmatch(member.name)
        if match and match[2].lower() in _SIDECARS:
            found.setdefault(match[1], {})[match[2].lower()] = member
    return found


def _key(member: Member) -> str:
    match = _KEY.fullmatch(member.name)
    return match[1] if match else member.name


def _suffix(member: Member) -> str:
    return PurePosixPath(member.name).suffix.lower()


def _rank(sidecar: tuple[str, Member]) -> int:
    return _SIDECARS.index(sidecar[0])
