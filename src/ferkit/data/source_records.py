"""The pictures and videos that an embedding set was made of, by content, so that it can be brought up to date.

They lie in ``emb.sources.parquet``, which is a cache: where it is missing, everything is embedded again.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ferkit.data.file_state import file_state
from ferkit.data.places import to_absolute, to_relative
from ferkit.data.sources.contents import Sources
from ferkit.data.sources.picture import Picture
from ferkit.data.sources.video import Video
from ferkit.errors import UnreadableImageError
from ferkit.progress import Progress

_COLUMNS = ("source", "about", "stamp", "content", "problem")
_SCHEMA = pa.schema([(name, pa.string()) for name in _COLUMNS])
_SET, _SETTINGS = b"ferkit.vectors", b"ferkit.settings"
_READERS, _GROUP = 4, 256


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One picture or video."""

    source: str  # as in `Picture` and `Video`
    about: str  # all that its source says of it, as text
    # size, times and place on disk of its file; while they stay, the content does. Empty where the system does not tell
    # them surely
    stamp: str
    # what decides which faces are found: hex SHA-256 of its bytes, and the box that is meant, if any; None if it cannot
    # be read
    content: str | None
    problem: str | None = None  # why it gave no face, if it gave none

    @property
    def identity(self) -> tuple[str | None, ...]:
        """What two records of the same content, under the same name, share."""
        return self.source, self.about, self.content


def records_path(vectors: Path) -> Path:
    """Where the records of the set ``x.npy`` lie."""
    return vectors.with_suffix(".sources.parquet")


def record_sources(sources: Sources, known: Sequence[SourceRecord], progress: Progress) -> list[SourceRecord]:
    """Hash all pictures and videos, but for those whose files are as they were when ``known`` was recorded."""
    earlier = {record.source: record for record in known}
    total = len(sources.pictures) + len(sources.videos)
    progress.start("reading", total, unit="pictures")
    records: list[SourceRecord] = []
    items: Iterator[Picture | Video] = chain(sources.pictures, sources.videos)
    with ThreadPoolExecutor(_READERS) as readers:
        while group := list(islice(items, _GROUP)):
            records += readers.map(lambda item: _record(item, earlier), group)
            progress.advance(len(group))
    return records


def write_records(
    records: Sequence[SourceRecord], path: Path, folder: Path, vectors: str, settings: str, problems: Mapping[str, str]
) -> None:
    """Write the records of a set.

    Args:
        records: of all that it was made of.
        path: the file.
        folder: absolute, where it will lie.
        vectors: digest of its vectors.
        settings: digest of how faces were found.
        problems: why pictures gave no face, by source.
    """
    columns = {name: [getattr(record, name) for record in records] for name in _COLUMNS[:-1]}
    columns["problem"] = [problems.get(record.source) for record in records]
    metadata = {_SET: vectors, _SETTINGS: settings}
    table = to_relative(pa.table(columns, _SCHEMA), folder).replace_schema_metadata(metadata)
    pq.write_table(table, path, compression="zstd")


def read_records(path: Path, vectors: str, settings: str) -> list[SourceRecord]:
    """Return the records of a set; none where the file is missing, damaged, or of other vectors or settings."""
    try:
        with pq.ParquetFile(path) as file:
            metadata = file.schema_arrow.metadata or {}
            if (metadata.get(_SET), metadata.get(_SETTINGS)) != (vectors.encode(), settings.encode()):
                return []
            columns = to_absolute(file.read(list(_COLUMNS)).cast(_SCHEMA), path.resolve().parent).to_pydict()
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return []
    return [SourceRecord(*row) for row in zip(*(columns[name] for name in _COLUMNS), strict=True)]


def _record(item: Picture | Video, earlier: Mapping[str, SourceRecord]) -> SourceRecord:
    stamp = _stamp(item.file if isinstance(item, Picture) else Path(item.source))
    about = repr(_description(item))
    known = earlier.get(item.source)
    if known is not None and stamp and known.stamp == stamp and known.about == about:
        return SourceRecord(item.source, about, stamp, known.content)
    try:
        content = item.sha256()
    except (OSError, UnreadableImageError):
        return SourceRecord(item.source, about, stamp, None)
    box = item.box if isinstance(item, Picture) else None
    return SourceRecord(item.source, about, stamp, content if box is None else f"{content} {box}")


def _description(item: Picture | Video) -> tuple[object, ...]:
    if isinstance(item, Video):
        return item.label, item.identity
    return item.label, item.identity, item.clip, item.time_s, item.box, item.valence, item.arousal


def _stamp(file: Path) -> str:
    try:
        return "" if os.name == "nt" else " ".join(map(str, file_state(file)))
    except OSError:
        return ""
