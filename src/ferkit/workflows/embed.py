"""Turn every face into a vector: photos are aligned on the way, face sets and crops are used as they are."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, replace
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Unpack

import pyarrow.compute as pc
import torch

from ferkit.data.embedding_parts import complete_parts, part_path
from ferkit.data.embedding_set import EmbeddingSet, EncoderStamp, check_embedding_output, staged_set
from ferkit.data.embedding_writer import EmbeddingSetWriter
from ferkit.data.face_selection import unit_of
from ferkit.data.stores import copy_path, fetch_set, put_set
from ferkit.encoders import DEFAULT_ENCODER
from ferkit.encoders.encoder import Encoder, load_encoder, locate_encoder
from ferkit.encoders.export_module import contract_digest
from ferkit.encoders.runtimes import FLOAT32
from ferkit.errors import EncoderMismatchError, InputError, SetError
from ferkit.pipeline import FACES
from ferkit.pipeline.decoding import prefetched
from ferkit.pipeline.face_finder import FaceBatch
from ferkit.pipeline.face_options import FaceKeywords, FaceOptions
from ferkit.pipeline.face_stream import (
    FaceStream,
    SetStream,
    followed,
    open_faces,
    require_default_faces,
    require_faces,
    source_paths,
    split_problems,
)
from ferkit.pipeline.parts import parse_part, part_of
from ferkit.pipeline.reuse import Changes, Update, VectorBatch, plan_update
from ferkit.pipeline.runtimes import Embedding, choose_runtime, open_runtime
from ferkit.progress import Progress, Silent
from ferkit.search.searcher import Searcher
from ferkit.search.set_encoder import encoder_stamp


@dataclass(frozen=True)
class EmbedResult:
    """Where the embedding set lies and what it was made of.

    Attributes:
        path: the ``.npy`` file; ``.parquet`` and ``.json`` lie beside it.
        faces: vectors in it.
        pictures: pictures that were looked at; for a face set, those that its faces come from.
        unit: what that counts: ``pictures``, ``frames`` or ``pictures and frames``.
        faceless: sources that show no face.
        filtered: sources whose faces were all left out by a filter.
        unreadable: (source, why) of those that cannot be read.
        encoder: name of the encoder.
        runtime: what computed: ``torch``, ``onnx`` or ``openvino``.
        precision: in which: ``float32``, ``bfloat16`` (GPUs) or ``int8``.
        seconds: how long it took, without loading the encoder.
        rate: faces per second of this run; what an earlier, killed run had done does not count.
        changes: since the set that was there before; None where there was none to go on from.
    """

    path: Path
    faces: int
    pictures: int
    unit: str
    faceless: list[str]
    filtered: list[str]
    unreadable: list[tuple[str, str]]
    encoder: str
    runtime: str
    precision: str
    seconds: float
    rate: float
    changes: Changes | None = None


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
    chosen = FaceOptions(**options).for_search()
    if part is not None:
        number, parts = parse_part(part)
        target = part_path(target, number, parts)
    place = target
    with suppress(SetError):  # nothing is there yet
        fetch_set(place)
    target = copy_path(place)
    check_embedding_output(target)
    require_default_faces(paths, "embed")
    stream = open_faces(paths, chosen, device, progress)
    choice = choose_runtime(runtime, precision, device, stream.total)
    model = _encoder(encoder, device if choice.runtime == "torch" else "cpu", progress)
    _require_template(stream, model)
    ready = open_runtime(choice, model, stream, progress)
    listing = None
    if part is not None:
        listing, stream = stream.listing, part_of(stream, number, parts)
    stamp = encoder_stamp(model, encoder, ready.precision, ready.calibration)
    started = time.monotonic()
    update = plan_update(stream, None if fresh else _set_to_update(target, stamp, progress), paths, progress)
    if update.changes is not None:
        progress.say(f"{target}: {update.changes}")
    job = {"sources": update.job, "encoder": stamp.sha256, "batch": batch_size, "runtime": ready.runtime}
    job |= {"precision": stamp.precision, "calibration": stamp.calibration, "contract": stamp.contract}
    about = (stamp.name, ready.runtime, ready.precision)
    if (there := update.complete) is not None and there.listing == listing:
        progress.say("nothing is new")
        put_set(place)
        problems = split_problems(update.problems)
        unit = unit_of(there.column("time_s"))
        return EmbedResult(place, len(there), there.pictures or 0, unit, *problems, *about, 0.0, 0.0, update.changes)
    job["listing"] = listing
    with EmbeddingSetWriter(target, stamp, job, listing=listing, **update.origin) as staged:
        before = len(staged)
        if staged.complete:
            progress.say(f"{target} is complete already")
        else:
            _embed_all(_VectorStream(update, ready, batch_size), staged, progress)
            if part is None:
                require_faces(len(staged), staged.problems, paths)
    put_set(place)
    if part is not None:
        with suppress(SetError):  # parts are missing, or those of other sources are to be made anew
            complete_parts(place.parent, parts)
    seconds = time.monotonic() - started
    pictures, problems = _pictures(stream, staged.pictures_done), split_problems(staged.problems)
    rate, unit = (len(staged) - before) / seconds, unit_of(EmbeddingSet.open(target).column("time_s"))
    return EmbedResult(place, len(staged), pictures, unit, *problems, *about, seconds, rate, update.changes)


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


def _encoder(name: str | Path, device: str | None, progress: Progress) -> Encoder:
    """Load an encoder, or take the one of the last call, if that was the same."""
    entry = locate_encoder(name, progress)[0]
    return _loaded(str(name), device, entry.sha256, contract_digest(entry))


@lru_cache(maxsize=1)
def _loaded(name: str, device: str | None, sha256: str | None, contract: str) -> Encoder:
    return load_encoder(name, device)


def _set_to_update(target: Path, stamp: EncoderStamp, progress: Progress) -> EmbeddingSet | None:
    """The set that is there, if its vectors can go on to be used."""
    with staged_set(target, {}):
        pass  # what a killed run had begun to rename is there now
    try:
        there = EmbeddingSet.open(target)
        there.verify()
    except SetError:  # nothing is there, or nothing whole
        return None
    if replace(there.encoder, name=stamp.name) == stamp:
        return there
    progress.say(f"{target} holds {len(there):,} vectors by {there.encoder.name}: they will be replaced")
    return None


def _require_template(stream: FaceStream, model: Encoder) -> None:
    if isinstance(stream, SetStream) and stream.face_set.template != model.crop:
        raise EncoderMismatchError(
            f"the faces of {str(stream.face_set.path)!r} are aligned to {stream.face_set.template!r} and"
            f" {model.name!r} needs {model.crop!r}; align the photos again"
        )


def _pictures(stream: FaceStream, done: int) -> int:
    if isinstance(stream, SetStream):
        return int(pc.count_distinct(stream.face_set.column("source")).as_py())
    return done


def _embed_all(stream: _VectorStream, staged: EmbeddingSetWriter, progress: Progress) -> None:
    done = staged.pictures_done
    for batch in followed("embedding", stream, done, staged.state, len(staged), progress):
        assert isinstance(batch, VectorBatch)  # noqa: S101 (what this stream gives)
        done += batch.pictures
        staged.append(batch.vectors, batch.faces, pictures_done=done, problems=batch.problems, state=batch.state)


@dataclass(frozen=True)
class _VectorStream:
    """A stream of faces whose vectors are computed ahead of whoever writes them, as its faces are found ahead of that.

    Attributes:
        update: the faces, and what is known of them.
        ready: computes the vectors.
        batch_size: faces per pass through the network.
    """

    update: Update
    ready: Embedding
    batch_size: int

    @property
    def crop_size(self) -> int:
        """Side of the crops in pixels."""
        return self.update.stream.crop_size

    @property
    def total(self) -> float:
        """Steps of the whole job."""
        return self.update.stream.total

    @property
    def unit(self) -> str:
        """What `total` counts."""
        return self.update.stream.unit

    def steps(self, pictures_done: int, state: Any) -> float:  # noqa: ANN401 (any JSON value)
        """Steps that are done at a place in the stream."""
        return self.update.stream.steps(pictures_done, state)

    def batches(self, done: int = 0, state: Any = None) -> Iterator[FaceBatch]:  # noqa: ANN401 (any JSON value)
        """Yield the batches from a place in the stream on, with their vectors."""
        return prefetched(self._batches(done, state), ahead=1)

    def _batches(self, done: int, state: Any) -> Generator[FaceBatch]:  # noqa: ANN401 (any JSON value)
        torch.get_num_threads()  # settles this thread's number, before the detector lowers it for its own
        for batch in self.update.stream.batches(done, state):
            if isinstance(batch, VectorBatch):
                yield batch
                continue
            embed = partial(self.ready.embedder.embed, batch_size=self.batch_size)
            vectors = self.update.vectors.complete(batch.faces, batch.crops, embed)
            given = {column.name: getattr(batch, column.name) for column in fields(FaceBatch)}
            yield VectorBatch(**given, vectors=vectors)
