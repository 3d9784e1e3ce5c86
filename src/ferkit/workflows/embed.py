"""Turn every face into a vector, in one go or in parts; photos are aligned on the way, face sets taken as they are."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Unpack

from ferkit.data.embedding_parts import PartSummary, complete_parts, made_parts, part_path
from ferkit.data.embedding_set import EmbeddingSet, check_embedding_output
from ferkit.data.face_selection import unit_of
from ferkit.data.stores import MANIFEST, copy_path, driver_mark, remote_url
from ferkit.encoders import DEFAULT_ENCODER
from ferkit.encoders.export_module import contract_digest
from ferkit.encoders.runtimes import FLOAT32
from ferkit.errors import InputError
from ferkit.locks import output_lock
from ferkit.pipeline import FACES
from ferkit.pipeline.embedding_job import open_job
from ferkit.pipeline.engine import PartKeywords, PartSettings, work_off
from ferkit.pipeline.face_options import FaceKeywords, FaceOptions
from ferkit.pipeline.face_stream import absolute_paths, require_default_faces, source_paths, split_problems
from ferkit.pipeline.parts import parse_part
from ferkit.pipeline.reuse import Changes
from ferkit.progress import Progress, Silent
from ferkit.search.searcher import Searcher
from ferkit.settings import part_settings


@dataclass(frozen=True)
class EmbedResult:
    """Where the embedding set lies and what it was made of."""

    path: Path  # the ``.npy`` file; ``.parquet`` and ``.json`` lie beside it
    faces: int  # vectors in it
    pictures: int  # pictures that were looked at; for a face set, those that its faces come from
    unit: str  # what that counts: ``pictures``, ``frames`` or ``pictures and frames``
    faceless: list[str]  # sources that show no face
    filtered: list[str]  # sources whose faces were all left out by a filter
    unreadable: list[tuple[str, str]]  # (source, why) of those that cannot be read
    encoder: str  # name of the encoder
    runtime: str  # what computed: ``torch``, ``onnx`` or ``openvino``
    precision: str  # in which: ``float32``, ``bfloat16`` (GPUs) or ``int8``
    seconds: float  # how long it took, without loading the encoder
    rate: float  # faces per second of this run; what an earlier, killed run had done does not count
    changes: Changes | None = None  # since the set that was there before; None where there was none to go on from


def embed(
    sources: str | Path | Sequence[str | Path] = FACES,
    out: str | Path = "emb.npy",
    *,
    encoder: str | Path = DEFAULT_ENCODER,
    batch_size: int = 64,
    device: str | None = None,
    runtime: str | None = None,
    precision: str = FLOAT32,
    fresh: bool = False,
    part: str | None = None,
    progress: Progress | None = None,
    **options: Unpack[FaceKeywords],
) -> EmbedResult:
    """Embed every face of a face set, of photos, or of pictures that are face crops already.

    A run that was stopped goes on where it was when it is started again with the same arguments. A set of the same name
    is brought up to date: of pictures that it knows by their content, wherever they lie by now, faces and vectors are
    taken over; only what is new or changed is embedded. By another encoder, or with other options, all is embedded, and
    the set is replaced once the new one is complete.

    Args:
        sources: one face set, or whatever `align` takes.
        out: the ``.npy`` file of the vectors; its sidecars take the same stem. With ``part`` a folder. Either may be an
            address, such as ``s3://bucket/emb.npy``.
        encoder: a name of models.yaml, a run folder, a ``.safetensors`` file, or ``hf-hub:user/name[@revision]``.
        batch_size: faces per pass through the network.
        device: ``cpu``, ``cuda``, …; None takes the best one present.
        runtime: what computes the vectors: ``torch``, or on a CPU ``onnx`` or ``openvino``; None takes one of these for
            2,000 pictures or more where it is installed.
        precision: ``float32``, or ``int8`` on a CPU, calibrated on the first 300 faces.
        fresh: embed everything anew, even what the set knows already.
        part: make the seventh of 64 parts, ``7/64``, in the folder ``out``; once all are there, whatever made them, the
            folder is a set.
        progress: told of every batch.
        options: how sources are read and which of their faces are taken: fields of
            `ferkit.pipeline.face_options.FaceOptions`, such as ``min_face=40``. Of videos 2 frames a second are looked
            at, with ``fps=0`` all.

    Raises:
        MissingPathError, NoImagesError, NoFaceError: there is nothing to embed.
        UnknownEncoderError, WeightsError, HubError: the encoder cannot be loaded.
        InputError: the runtime is not installed, or does not go with the precision or the device.
        ConversionError: the encoder cannot be converted for the runtime.
        EncoderMismatchError: the face set is aligned to another template than the encoder's.
        OutputError: ``out`` cannot be written; nothing that was there has changed.
    """
    paths, target, progress = source_paths(sources), Path(out), progress or Silent()
    chosen, which = FaceOptions(**options).for_search(), None if part is None else parse_part(part)
    if which is None:
        check_embedding_output(copy_path(target))  # before anything is read
    require_default_faces(paths, "embed")
    how = partial(open_job, batch_size=batch_size, runtime=runtime, precision=precision, fresh=fresh)
    job = how(paths, target, encoder, chosen, device, progress)
    about = job.stamp.name, job.ready.runtime, job.ready.precision
    started = time.monotonic()
    made = job.build() if which is None else job.build_part(*which)
    path = target if which is None else part_path(target, *which)
    seconds, problems = time.monotonic() - started, split_problems(made.problems)
    rate = made.new / seconds
    return EmbedResult(path, made.faces, made.pictures, made.unit, *problems, *about, seconds, rate, made.changes)


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


@contextmanager
def open_or_embed(
    sources: Sequence[Path],
    options: FaceOptions,
    encoder: str | Path | None,
    device: str | None,
    keep: Path | None,
    progress: Progress,
) -> Iterator[Searcher]:
    """Open the one embedding set that is named, or embed photos and videos.

    Args:
        sources: a ``.npy`` file alone, or whatever `ferkit.embed` takes.
        options: how faces are found.
        encoder: of photos and videos, or where that of the set lies now; None takes the default one, or the set's.
        device: as for `ferkit.embed`.
        keep: ``.npy`` file in which the embeddings of photos and videos stay, and from which a stopped run goes on;
            None removes them at the end.
        progress: told of every batch.
    """
    sets = [source for source in sources if source.suffix == ".npy"]
    if sets and (len(sources) > 1 or keep):
        raise InputError(f"{str(sets[0])!r} is an embedding set; give it alone")
    if sets:
        yield Searcher(sets[0], encoder, device, progress=progress)
        return
    with TemporaryDirectory(prefix="ferkit-") as folder:
        path = keep or Path(folder) / "emb.npy"
        shared = {**vars(options), "fps": options.fps or 0}
        embed(sources, path, encoder=encoder or DEFAULT_ENCODER, device=device, progress=progress, **shared)
        yield Searcher(path, encoder, device, progress=progress)
