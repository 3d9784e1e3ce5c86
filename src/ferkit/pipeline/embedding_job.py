"""Turn the faces of sources into an embedding set, whole or in parts; what is loaded is loaded once for all."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import torch

from ferkit.data.embedding_parts import complete_parts, part_path
from ferkit.data.embedding_set import EmbeddingSet, check_embedding_output, staged_set
from ferkit.data.embedding_writer import EmbeddingSetWriter
from ferkit.data.encoder_stamp import EncoderStamp
from ferkit.data.face_selection import unit_of
from ferkit.data.stores import copy_path, fetch_set, put_set
from ferkit.encoders.encoder import Encoder, load_encoder, locate_encoder
from ferkit.encoders.registry import EncoderEntry
from ferkit.errors import EncoderMismatchError, SetError
from ferkit.pipeline.decoding import prefetch
from ferkit.pipeline.face_finder import FaceBatch
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.face_stream import SetStream, open_faces, require_faces, with_progress
from ferkit.pipeline.parts import part_of
from ferkit.pipeline.reuse import Changes, Update, VectorBatch, plan_update
from ferkit.pipeline.runtimes import Embedding, RuntimeChoice, choose_runtime, open_runtime
from ferkit.pipeline.source_stream import SourceStream
from ferkit.progress import Progress
from ferkit.search.set_encoder import encoder_stamp


@dataclass(frozen=True)
class Embedded:
    """A set, or a part of one, that is there."""

    faces: int  # vectors in it
    pictures: int  # pictures that were looked at; for a face set, those that its faces come from
    unit: str  # what that counts: pictures, frames, or pictures and frames
    problems: Sequence[tuple[str, str]]  # (source, problem) of the pictures that gave no face
    new: int  # vectors that this run has added
    changes: Changes | None  # since the set that was there before; None where there was none to go on from

    def __len__(self) -> int:
        return self.faces


@dataclass(frozen=True)
class EmbeddingJob:
    """An embedding set to be."""

    sources: Sequence[Path]  # what the user named
    stream: SourceStream | SetStream  # their faces
    out: Path  # the .npy file, or the folder of the parts; either may be an address
    encoder: str | Path  # a name, folder or file
    chosen: RuntimeChoice  # what shall compute the vectors
    device: str | None  # where; None takes the best one present
    batch_size: int  # faces per pass through the network
    fresh: bool  # take nothing over from a set that is there
    progress: Progress  # told of every batch

    @cached_property
    def entry(self) -> EncoderEntry:
        """What is known of the encoder, which is fetched but not loaded."""
        return locate_encoder(self.encoder, self.progress)[0]

    @cached_property
    def model(self) -> Encoder:
        """The encoder.

        Raises:
            EncoderMismatchError: the face set is aligned to another template than it needs.
        """
        model = load_encoder(self.encoder, self.device if self.chosen.runtime == "torch" else "cpu", self.progress)
        if isinstance(self.stream, SetStream) and self.stream.face_set.template != model.crop:
            raise EncoderMismatchError(
                f"the faces of {str(self.stream.face_set.path)!r} are aligned to {self.stream.face_set.template!r} and"
                f" {model.name!r} needs {model.crop!r}; align the photos again"
            )
        return model

    @cached_property
    def ready(self) -> Embedding:
        """What computes, for all parts: int8 is calibrated on the first faces of the whole."""
        return open_runtime(self.chosen, self.model, self.stream, self.progress)

    @cached_property
    def stamp(self) -> EncoderStamp:
        """By which the vectors are known."""
        return encoder_stamp(self.model, self.encoder, self.ready.precision, self.ready.calibration)

    def build(self) -> Embedded:
        """Embed all faces; the set appears whole at the end.

        Raises:
            NoFaceError, NoImagesError: there is none.
        """
        return self._build(self.out, self.stream, None)

    def build_part(self, number: int, parts: int) -> Embedded:
        """Embed one part, and complete the set if it was the last."""
        place, stream = part_path(self.out, number, parts), part_of(self.stream, number, parts)
        made = self._build(place, stream, self.stream.listing)
        with suppress(SetError):  # parts are missing, or those of other sources are to be made anew
            complete_parts(self.out, parts)
        return made

    def _build(self, place: Path, stream: SourceStream | SetStream, listing: str | None) -> Embedded:
        with suppress(SetError):  # nothing is there yet
            fetch_set(place)
        target = copy_path(place)
        check_embedding_output(target)
        stamp, older = self.stamp, None if self.fresh else self._set_to_update(target)
        update = plan_update(stream, older, self.sources, self.progress)
        if update.changes is not None:
            self.progress.say(f"{target}: {update.changes}")
        if (there := update.complete) is not None and there.listing == listing:
            self.progress.say("nothing is new")
            put_set(place)
            about = len(there), there.pictures or 0, unit_of(there.column("time_s")), update.problems
            return Embedded(*about, 0, update.changes)
        job = {"sources": update.job, "encoder": stamp.sha256, "batch": self.batch_size, "runtime": self.ready.runtime}
        job |= {"precision": stamp.precision, "calibration": stamp.calibration, "contract": stamp.contract}
        job["listing"] = listing
        with EmbeddingSetWriter(target, stamp, job, listing=listing, **update.origin) as staged:
            before = len(staged)
            if staged.complete:
                self.progress.say(f"{target} is complete already")
            else:
                _embed_all(_VectorStream(update, self.ready, self.batch_size), staged, self.progress)
                if listing is None:
                    require_faces(len(staged), staged.problems, self.sources)
        put_set(place)
        pictures = staged.pictures_done
        if isinstance(stream, SetStream):
            pictures = int(pc.count_distinct(stream.face_set.column("source")).as_py())
        about = len(staged), pictures, unit_of(EmbeddingSet.open(target).column("time_s")), staged.problems
        return Embedded(*about, len(staged) - before, update.changes)

    def _set_to_update(self, target: Path) -> EmbeddingSet | None:
        """The set that is there, if its vectors can go on to be used."""
        with staged_set(target, {}):
            pass  # what a killed run had begun to rename is there now
        try:
            there = EmbeddingSet.open(target)
            there.verify()
        except SetError:  # nothing is there, or nothing whole
            return None
        if replace(there.encoder, name=self.stamp.name) == self.stamp:
            return there
        self.progress.say(f"{target} holds {len(there):,} vectors by {there.encoder.name}: they will be replaced")
        return None


def open_job(
    sources: Sequence[Path],
    out: Path,
    encoder: str | Path,
    options: FaceOptions,
    device: str | None,
    progress: Progress,
    *,
    batch_size: int = 64,
    runtime: str | None = None,
    precision: str,
    fresh: bool = False,
) -> EmbeddingJob:
    """List the sources of an embedding set and choose what computes; arguments and errors as `ferkit.embed`."""
    stream = open_faces(sources, options, device, progress)
    chosen = choose_runtime(runtime, precision, device, stream.total)
    return EmbeddingJob(sources, stream, out, encoder, chosen, device, batch_size, fresh, progress)


def _embed_all(stream: _VectorStream, staged: EmbeddingSetWriter, progress: Progress) -> None:
    done = staged.pictures_done
    for batch in with_progress("embedding", stream, done, staged.state, len(staged), progress):
        assert isinstance(batch, VectorBatch)  # noqa: S101 (what this stream gives)
        done += batch.pictures
        staged.append(batch.vectors, batch.faces, pictures_done=done, problems=batch.problems, state=batch.state)


@dataclass(frozen=True)
class _VectorStream:
    """A stream of faces whose vectors are computed ahead of whoever writes them, as its faces are found before."""

    update: Update  # the faces, and what is known of them
    ready: Embedding  # computes the vectors
    batch_size: int  # faces per pass through the network

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
        return prefetch(self._batches(done, state), ahead=1)

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
