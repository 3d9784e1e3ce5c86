"""Embedding sets in parts: a folder of sets that were made one by one, on many machines, and are read as one.

``emb/part-00007-of-00064.npy`` with its sidecars is an embedding set by itself. ``emb/manifest.json`` is written once
all parts are there: it lists them with their digests, so that parts of two jobs are never taken for one set. Rows
follow the parts, and so the order of the sources.
"""

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

from ferkit.atomic import atomic_path
from ferkit.data.embedding_set import EmbeddingSet, read_description, unfinished
from ferkit.data.encoder_stamp import EncoderStamp
from ferkit.data.stores import MANIFEST, copy_path, part_descriptions, put_set, remote_url
from ferkit.documents import parse_json
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
        raise SetError(unfinished(folder, missing, parts))
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


def _summary(part: EmbeddingSet) -> PartSummary:
    return PartSummary(part.encoder, part.listing, part.version, len(part), part.pictures or 0, dict(part.sha256))


def _parsed(path: Path, content: bytes) -> PartSummary:
    told, count = read_description(path, path.with_suffix(".json"), content), parse_json(content)["count"]
    return PartSummary(
        *(told["encoder"], told["listing"], told["version"]), int(count), told["pictures"] or 0, told["sha256"]
    )
