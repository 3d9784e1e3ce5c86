"""Embed in parts: one after the other here, or side by side on the machines of a Ray cluster."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Unpack

from ferkit.data.embedding_parts import PartSummary, complete_parts, made_parts
from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.face_selection import unit_of
from ferkit.data.stores import MANIFEST, copy_path, driver_mark, remote_url
from ferkit.encoders import DEFAULT_ENCODER
from ferkit.encoders.export_module import contract_digest
from ferkit.encoders.runtimes import FLOAT32
from ferkit.locks import output_lock
from ferkit.pipeline import FACES
from ferkit.pipeline.embedding_job import open_job
from ferkit.pipeline.engine import PartKeywords, PartSettings, work_off
from ferkit.pipeline.face_options import FaceKeywords, FaceOptions
from ferkit.pipeline.face_stream import absolute_paths, require_default_faces, source_paths
from ferkit.progress import Progress, Silent
from ferkit.settings import part_settings


class EmbedPartsKeywords(PartKeywords, FaceKeywords, total=False):
    """Into how many parts, by which engine, and how sources are read."""


@dataclass(frozen=True)
class EmbedPartsResult:
    """Where the set lies, and what was done for it."""

    path: Path  # the folder
    faces: int  # vectors in it
    pictures: int  # pictures that were looked at
    unit: str  # as `ferkit.workflows.embed.EmbedResult`
    parts: int  # of how many parts it is
    made: int  # how many of them this run has made
    encoder: str  # name of the encoder
    seconds: float  # how long it took


def embed_parts(
    sources: str | Path | Sequence[str | Path] = FACES,
    out: str | Path = "emb",
    *,
    encoder: str | Path = DEFAULT_ENCODER,
    batch_size: int = 64,
    device: str | None = None,
    runtime: str | None = None,
    precision: str = FLOAT32,
    progress: Progress | None = None,
    **options: Unpack[EmbedPartsKeywords],
) -> EmbedPartsResult:
    """Embed every face of sources into a folder of parts, which every verb reads as one embedding set.

    A part that is there is not made again, whichever run or machine made it; a worker that dies costs the part that it
    was at, which goes on where it was. One run at a time works on a folder.

    Args:
        sources: as `ferkit.embed`; workers must find them at the same places.
        out: the folder, which all workers must see; or an address, such as ``s3://bucket/emb``.
        encoder: as `ferkit.embed`.
        batch_size: faces per pass through the network.
        device: of each worker; None takes the best one that it sees.
        runtime: as `ferkit.embed`.
        precision: ``float32`` or ``int8``.
        progress: told of every part.
        options: fields of `ferkit.pipeline.engine.PartSettings`, such as ``parts=64`` and ``engine="ray"``, and of
            `ferkit.pipeline.face_options.FaceOptions`.

    Raises:
        BusyError: another run is at work on the folder.
        InputError: Ray is not installed or cannot be reached, or its workers have another ferkit.
        SetError: parts of other versions of ferkit are there.
        FerkitError: as `ferkit.embed`; finished parts stay.
    """
    settings, chosen = part_settings(options, PartSettings, FaceOptions)
    paths, (folder,), progress = source_paths(sources), absolute_paths([Path(out)]), progress or Silent()
    require_default_faces(paths, "embed")
    started = time.monotonic()
    encoder = str(Path(encoder).absolute() if Path(encoder).exists() else encoder)
    places = absolute_paths(paths), folder, encoder
    how = partial(open_job, batch_size=batch_size, runtime=runtime, precision=precision)
    open_here = partial(how, *places, chosen.for_search(), device)
    with output_lock(copy_path(folder / MANIFEST)), driver_mark(folder):
        job = open_here(progress)
        maker = (job.stream.listing, job.entry.sha256, contract_digest(job.entry), precision == "int8")
        made = {number for number, part in made_parts(folder, settings.count).items() if _maker(part) == maker}
        left = [number for number in range(1, settings.count + 1) if number not in made]
        work_off("embedding", replace(job, progress=Silent()), open_here, left, settings, progress)
        joined = complete_parts(folder, settings.count)
    faces, pictures = sum(part.faces for part in joined), sum(part.pictures for part in joined)
    # Of a store's set only descriptions are read here.
    unit = "pictures" if remote_url(folder) else unit_of(EmbeddingSet.open(folder).column("time_s"))
    about = settings.count, len(left), joined[0].encoder.name
    return EmbedPartsResult(folder, faces, pictures, unit, *about, time.monotonic() - started)


def _maker(part: PartSummary) -> tuple[str | None, str, str | None, bool]:
    """What decided a part that is there: its sources, encoder and precision."""
    return part.listing, part.encoder.sha256, part.encoder.contract, part.encoder.precision == "int8"
