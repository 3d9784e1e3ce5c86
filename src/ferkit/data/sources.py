"""Sources: what a user names on the command line, as one sequence of pictures."""

from __future__ import annotations

import json
import os
import re
import threading
from abc import abstractmethod
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import accumulate, islice
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ferkit.data.images import IMAGE_SUFFIXES, image_size, read_image_scaled
from ferkit.errors import InputError, MissingPathError, NoImagesError, UnreadableImageError

__all__ = ["Picture", "looks_aligned", "open_sources"]

_ALIGNED_SIDE = 256  # crops are small; ferkit default
_ALIGNED_SAMPLE = 64
_CACHED_ROW_GROUPS = 2


@dataclass(frozen=True, slots=True)
class Picture:
    """One image that can be read when it is its turn.

    Attributes:
        source: absolute path, or ``/path/x.parquet#123`` for row 123 of a parquet file.
        label: class or expression, where the source says so.
        identity: who it is, where the source says so.
        fetch: gives the encoded bytes; None means the file at ``source``.
    """

    source: str
    label: str | None = None
    identity: str | None = None
    fetch: Callable[[], bytes] | None = field(default=None, repr=False, compare=False)

    def read(self, at_least: int | None = None) -> NDArray[np.uint8]:
        """Return (H, W, 3) uint8 RGB, upright; see `ferkit.data.images.read_image_scaled`."""
        return self.read_scaled(at_least)[0]

    def read_scaled(self, at_least: int | None = None) -> tuple[NDArray[np.uint8], int]:
        """Return the image and how many pixels of the original one of its pixels spans, as `read_image_scaled`."""
        return read_image_scaled(self._content(), self.source, at_least=at_least)

    def size(self) -> tuple[int, int]:
        """Return (width, height) as stored, without decoding; `UnreadableImageError` if that fails."""
        return image_size(self._content(), self.source)

    def _content(self) -> Path | bytes:
        return Path(self.source) if self.fetch is None else self.fetch()


def open_sources(paths: Sequence[Path]) -> Sequence[Picture]:
    """List the pictures of files, folders and parquet files, in the given order.

    A folder is searched recursively for image files, in natural order ("2" before "10"), without hidden ones; two or
    more folders of images right below it, and no image beside them, label what they hold (the layout of torchvision's
    ImageFolder). A parquet file has an ``image`` column as the Hugging Face hub writes it, and may have ``label`` and
    ``identity``; its images are read a row group at a time when asked for. Any other file is taken for an image.

    Args:
        paths: what the user named.

    Returns:
        The pictures; reading one may still raise `UnreadableImageError`.

    Raises:
        MissingPathError: a path does not exist.
        NoImagesError: there is no image in any of them.
        InputError: a parquet file is damaged or has no images, or a folder cannot be listed.
    """
    pictures = _Chain([_open_source(Path(path)) for path in paths])
    if not len(pictures):
        raise NoImagesError(_nothing_found(paths))
    return pictures


def looks_aligned(pictures: Sequence[Picture]) -> bool:
    """Say whether these are face crops already: small, square and all alike.

    Looks at the headers of the first 64 readable pictures: all must be square, of one size, at most 256 pixels.
    """
    sizes = set(islice(_readable_sizes(pictures), _ALIGNED_SAMPLE))
    return len(sizes) == 1 and all(width == height <= _ALIGNED_SIDE for width, height in sizes)


class _Pictures(Sequence[Picture]):
    """Pictures that are made when they are asked for: slices and negative indices, as for any sequence."""

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> list[Picture]: ...
    def __getitem__(self, index: int | slice) -> Picture | list[Picture]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        return self._at(range(len(self))[index])

    @abstractmethod
    def _at(self, index: int, /) -> Picture:
        """The picture at an index from 0 to the length."""


class _Chain(_Pictures):
    """Several sequences of pictures, one behind the other."""

    def __init__(self, parts: Sequence[Sequence[Picture]]) -> None:
        self._parts = parts
        self._ends = list(accumulate(len(part) for part in parts))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def _at(self, index: int) -> Picture:
        part = bisect_right(self._ends, index)
        return self._parts[part][index - (self._ends[part - 1] if part else 0)]


class _ParquetPictures(_Pictures):
    """The rows of one parquet file; bytes are read by row group, the last few of which stay in memory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = pq.ParquetFile(path)
            self._column = _image_column(self._file.schema_arrow, path)
            self._labels = self._texts("label")
            self._identities = self._texts("identity")
        except (OSError, pa.ArrowException) as error:
            why = " ".join(str(error).split())
            raise InputError(f"cannot read {str(path)!r} as parquet ({why}); give a complete file") from error
        metadata = self._file.metadata
        self._ends = list(accumulate(metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)))
        self._groups: OrderedDict[int, pa.ChunkedArray] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    def _at(self, row: int) -> Picture:
        return Picture(self._name(row), self._labels(row), self._identities(row), partial(self._bytes, row))

    def _name(self, row: int) -> str:
        return f"{self._path}#{row}"

    def _bytes(self, row: int) -> bytes:
        group = bisect_right(self._ends, row)
        try:
            images = self._images(group)
        except (OSError, pa.ArrowException) as error:
            raise UnreadableImageError(self._name(row), f"the parquet file is damaged here: {error}") from error
        content = images[row - (self._ends[group - 1] if group else 0)].as_py()
        if content is None:
            raise UnreadableImageError(self._name(row), "the row holds no image bytes")
        return bytes(content)

    def _images(self, group: int) -> pa.ChunkedArray:
        with self._lock:
            if group not in self._groups:
                column = self._file.read_row_group(group, columns=[self._column]).column(0)
                self._groups[group] = pc.struct_field(column, "bytes") if "." in self._column else column
            self._groups.move_to_end(group)
            while len(self._groups) > _CACHED_ROW_GROUPS:
                self._groups.popitem(last=False)
            return self._groups[group]

    def _texts(self, name: str) -> Callable[[int], str | None]:
        """Return what tells a row's text in column ``name``; None throughout if there is no such column."""
        schema = self._file.schema_arrow
        if name not in schema.names or pa.types.is_nested(schema.field(name).type):
            return lambda row: None
        values = self._file.read(columns=[name]).column(0)
        names = _class_names(schema, name)

        def text(row: int) -> str | None:
            value = values[row].as_py()
            return None if value is None else names.get(value, str(value))

        return text


def _image_column(schema: pa.Schema, path: Path) -> str:
    """Return what to read of the parquet file: ``image.bytes`` of a struct, or the binary column ``image``."""
    kind = schema.field("image").type if "image" in schema.names else pa.null()
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        return "image.bytes"
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return "image"
    columns = ", ".join(schema.names)
    raise InputError(f"{str(path)!r} has no column `image` with encoded pictures, only: {columns}; name another file")


def _class_names(schema: pa.Schema, column: str) -> dict[Any, str]:
    """Return the names that the Hugging Face hub keeps beside a column of class numbers; {} where it does not."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return dict(enumerate(features[column]["names"]))
    except (KeyError, TypeError, ValueError):
        return {}


def _open_source(path: Path) -> Sequence[Picture]:
    try:
        if not path.exists():
            raise MissingPathError(path)
        if path.is_dir():
            return _folder_pictures(path.resolve())
    except OSError as error:
        raise InputError(f"cannot look into {str(path)!r}: {error.strerror}; check its permissions") from error
    path = path.parent.resolve() / path.name
    return _ParquetPictures(path) if path.suffix.lower() == ".parquet" else [Picture(str(path))]


def _folder_pictures(root: Path) -> list[Picture]:
    files = list(_image_files(root, set()))
    tops = [file.relative_to(root).parts[0] for file in files]
    loose = any(file.parent == root for file in files)
    labelled = not loose and len(set(tops)) > 1
    return [Picture(str(file), label=top if labelled else None) for file, top in zip(files, tops, strict=True)]


def _image_files(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    """Yield the image files under ``folder`` in natural order, each real folder once (links may run in circles)."""
    status = folder.stat()
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    with os.scandir(folder) as listing:
        entries = sorted((entry for entry in listing if not entry.name.startswith(".")), key=_natural_key)
    for entry in entries:
        # Path's is_dir says no to a link that points at itself; that of the entry raises.
        path = Path(entry.path)
        if entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and path.is_dir()):
            yield from _image_files(path, seen)
        elif _is_image_file(entry):
            yield path


def _is_image_file(entry: os.DirEntry[str]) -> bool:
    # A link that leads nowhere is kept, to be reported as unreadable.
    return Path(entry.name).suffix.lower() in IMAGE_SUFFIXES and (entry.is_symlink() or entry.is_file())


def _natural_key(entry: os.DirEntry[str]) -> tuple[list[str | int], str]:
    # The split alternates text and digits, so that text is only ever compared with text.
    parts = re.split(r"(\d+)", entry.name.casefold())
    return [int(part) if number % 2 else part for number, part in enumerate(parts)], entry.name


def _readable_sizes(pictures: Iterable[Picture]) -> Iterator[tuple[int, int]]:
    for picture in pictures:
        try:
            yield picture.size()
        except UnreadableImageError:
            continue


def _nothing_found(paths: Sequence[Path]) -> str:
    named = ", ".join(repr(str(path)) for path in paths)
    if any(path.is_dir() and any(path.rglob("*.parquet")) for path in map(Path, paths)):
        return f"there is no image file in {named}, but parquet files, which are read only when named themselves"
    return f"there is no image in {named}; looked for {', '.join(sorted(IMAGE_SUFFIXES))}"
