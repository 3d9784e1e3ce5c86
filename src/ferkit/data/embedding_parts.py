"""Embedding sets in parts: a folder of sets that were made one by one, on many machines, and are read as one.

``emb/part-00007-of-00064.npy`` with its sidecars is an embedding set by itself. ``emb/manifest.json`` is written once
all parts are there: it lists them with their digests, so that parts of two jobs are never taken for one set. Rows
follow the parts, and so the order of the sources.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ferkit.atomic import atomic_path
from ferkit.data.embedding_set import EmbeddingSet, EncoderStamp, read_description
from ferkit.data.face_set import is_face_set
from ferkit.data.face_table import FaceTable
from ferkit.data.faces import Face
from ferkit.data.stored_vectors import StoredVectors
from ferkit.data.stores import MANIFEST, copy_path, part_descriptions, put_set, remote_url
from ferkit.documents import read_json
from ferkit.errors import SetError

_FORMAT = 1


def part_path(folder: Path, number: int, parts: int) -> Path:
    """Where part ``number``, from 1, of ``parts`` has its vectors."""
    return folder / f"part-{number:05d}-of-{parts:05d}.npy"


class PartSummary(NamedTuple):
    """What is told of a part by its description."""

    encoder: EncoderStamp
    listing: str | None
    version: str
    faces: int
    pictures: int
    sha256: dict[str, str]


def made_parts(folder: Path, parts: int) -> dict[int, PartSummary]:
    """Return those parts that are there and whole, by number; of a set in a store, as their descriptions tell.

    Raises:
        InputError: the store cannot be reached.
    """
    paths = {number: part_path(folder, number, parts) for number in range(1, parts + 1)}
    told = None if remote_url(folder) is None else part_descriptions(folder, [path.name for path in paths.values()])
    made = {}
    for number, path in paths.items():
        with suppress(SetError, KeyError):
            made[number] = _summary(EmbeddingSet.open(path)) if told is None else _parsed(path, told[path.name])
    return made


def complete_parts(folder: Path, parts: int) -> list[PartSummary]:
    """Check that all parts belong together and write the manifest.

    Raises:
        SetError: parts are missing, damaged, of other sources, by another encoder, or by other versions of ferkit.
        InputError: the store cannot be reached.
        OutputError: the manifest cannot be written.
    """
    made = made_parts(folder, parts)
    if missing := [number for number in range(1, parts + 1) if number not in made]:
        raise SetError(_unfinished(folder, missing, parts))
    paths = [part_path(folder, number, parts) for number in made]
    summaries, first = list(made.values()), made[1]
    for path, part in zip(paths, summaries, strict=True):
        for what, own, its in (
            ("another encoder", first.encoder, part.encoder),
            ("other sources", first.listing, part.listing),
            (f"ferkit {part.version} instead of {first.version}", first.version, part.version),
        ):
            if own != its:
                raise SetError(
                    f"{path.name} of {str(folder)!r} is by {what}, unlike {paths[0].name}; remove it and embed it again"
                )
    manifest = {
        "format": _FORMAT,
        "ferkit": first.version,
        "encoder": asdict(first.encoder),
        "count": sum(part.faces for part in summaries),
        "parts": [
            {"file": path.name, "count": part.faces, "sha256": part.sha256}
            for path, part in zip(paths, summaries, strict=True)
        ],
    }
    with atomic_path(copy_path(folder / MANIFEST)) as partial:
        partial.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    put_set(folder / MANIFEST)
    return summaries


def open_parts(folder: Path) -> PartedSet:
    """Open the set that lies in parts in a folder.

    Raises:
        SetError: it is unfinished, a part is missing or damaged, or is none of those that the manifest lists.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        listed = [(str(part["file"]), dict(part["sha256"])) for part in manifest["parts"]]
        newer = int(manifest["format"]) > _FORMAT
    except FileNotFoundError:
        raise SetError(_without_manifest(folder)) from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise SetError(f"{str(folder / MANIFEST)!r} is damaged; embed again to write it anew") from error
    if newer:
        raise SetError(f"{str(folder)!r} was written by a newer ferkit; upgrade with `pip install -U ferkit`")
    opened = []
    for name, sha256 in listed:
        if Path(name).name != name:
            raise SetError(f"{str(folder / MANIFEST)!r} names a file outside its folder; embed again")
        part = EmbeddingSet.open(folder / name)
        if dict(part.sha256) != sha256:
            raise SetError(f"{name} of {str(folder)!r} is not the one that its manifest lists; embed again")
        opened.append(part)
    return _joined(folder, opened)


class PartedTable(FaceTable):
    """The tables of all parts as one."""

    def __init__(self, path: Path, parts: Sequence[FaceTable]) -> None:
        self.path, self._parts = path, parts
        self._ends = np.cumsum([len(part) for part in parts]).tolist()
        self.names = parts[0].names
        self.metadata = {}

    def __len__(self) -> int:
        return int(self._ends[-1])

    def read(self, names: Sequence[str] | None = None) -> pa.Table:
        """As `FaceTable.read`."""
        return pa.concat_tables([part.read(names) for part in self._parts])

    def faces(self, rows: NDArray[np.int64]) -> list[Face]:
        """As `FaceTable.faces`."""
        owners = np.array([bisect_right(self._ends, int(row)) for row in rows], np.int64)
        found: dict[int, Face] = {}
        for owner in np.unique(owners).tolist():
            places = np.flatnonzero(owners == owner)
            part = self._parts[owner]
            first = self._ends[owner] - len(part)
            found |= zip(places.tolist(), part.faces(np.asarray(rows)[places] - first), strict=True)
        return [found[place] for place in range(len(rows))]


@dataclass(frozen=True, eq=False)
class PartedSet(EmbeddingSet):
    """A set whose vectors and rows lie in parts."""

    parts: Sequence[EmbeddingSet] = ()  # the sets that it is made of, in order

    def verify(self) -> None:
        """As `EmbeddingSet.verify`, of every part."""
        for part in self.parts:
            part.verify()


def _joined(folder: Path, parts: Sequence[EmbeddingSet]) -> PartedSet:
    first = parts[0]
    return PartedSet(
        cast("NDArray[np.float32]", StoredVectors([part.vectors for part in parts])),
        PartedTable(folder / MANIFEST, [cast(FaceTable, part.rows) for part in parts]),
        first.encoder,
        normalized=all(part.normalized for part in parts),
        faces=first.faces,
        version=first.version,
        pictures=sum(part.pictures or 0 for part in parts),
        listing=first.listing,
        parts=parts,
    )


def _summary(part: EmbeddingSet) -> PartSummary:
    return PartSummary(part.encoder, part.listing, part.version, len(part), part.pictures or 0, dict(part.sha256))


def _parsed(path: Path, description: bytes) -> PartSummary:
    with TemporaryDirectory() as folder:
        file = Path(folder) / "part.json"
        file.write_bytes(description)
        told, count = read_description(path, file), read_json(file)["count"]
    return PartSummary(
        *(told["encoder"], told["listing"], told["version"]), int(count), told["pictures"] or 0, told["sha256"]
    )


def _missing_parts(folder: Path, parts: int) -> list[int]:
    return [number for number in range(1, parts + 1) if not part_path(folder, number, parts).exists()]


def _without_manifest(folder: Path) -> str:
    parts = sorted(folder.glob("part-*-of-*.npy"))
    try:
        count = int(parts[0].stem.rpartition("-")[2])
    except (IndexError, ValueError):
        what = "a face set" if is_face_set(folder) else "a folder"
        return (
            f"{str(folder)!r} is {what} and no embedding set; make one: `ferkit embed {folder} -o emb.npy`, name that"
        )
    return _unfinished(folder, _missing_parts(folder, count), count)


def _unfinished(folder: Path, missing: Sequence[int], parts: int) -> str:
    some = ", ".join(map(str, missing[:8])) + (", …" if len(missing) > 8 else "")
    what = f"of its {parts} parts {len(missing)} are missing ({some})" if missing else "it has no manifest"
    return f"{str(folder)!r} is unfinished: {what}; run the same `ferkit embed` again, which makes what is missing"
