"""Keep the faces of sources as a face set, in one go or in parts; a run that was stopped goes on where it was.

Parts of the face set ``faces/`` are face sets in ``faces.parts/``, each made by whoever takes it. When all are there
they become one: their shards are linked, not copied, and the folder of parts goes. In a store each is written in the
cache and put whole.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ferkit.data.face_set import (
    FaceSet,
    FaceSetWriter,
    face_set_job,
    fetch_face_set,
    is_face_set,
    put_face_set,
    refuse_foreign,
)
from ferkit.data.stores import copy_path, remove_folder
from ferkit.errors import BusyError, InputError
from ferkit.faces.template import CROP_SIZE, CROP_SIZES, TEMPLATE_NAME
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.face_stream import FaceStream, open_pictures, require_faces, with_progress
from ferkit.pipeline.fingerprint import digest
from ferkit.pipeline.parts import part_of
from ferkit.pipeline.source_stream import SourceStream
from ferkit.progress import Progress


@dataclass(frozen=True)
class FaceSetJob:
    """A face set to be."""

    sources: Sequence[Path]  # what the user named
    stream: SourceStream  # their faces
    fingerprint: str  # digest of all that decides which faces come out
    out: Path  # folder of the face set, which may be an address
    progress: Progress  # told of every batch
    overwrite: bool = False  # replace a face set of another job that is there

    @property
    def folder(self) -> Path:
        """Where parts lie until all are there."""
        return self.out.with_name(f"{self.out.name}.parts")

    @property
    def is_made(self) -> bool:
        """Whether the face set is there, made by this job."""
        return face_set_job(self.out) == self.fingerprint

    def missing(self, parts: int) -> list[int]:
        """Return the numbers of the parts that are not there yet; none where all of it is."""
        if self.is_made:
            return []
        numbers = range(1, parts + 1)
        return [number for number in numbers if face_set_job(self._part(number, parts)) != self._mark(number, parts)]

    def build(self) -> FaceSetWriter:
        """Find all faces and write the face set, which appears whole at the end."""
        writer = self.writer(self.overwrite)
        with writer:
            if not _is_complete(writer, self.out, self.progress):
                _append_all(self.stream, writer, self.progress)
                require_faces(len(writer), writer.problems, self.sources)
        put_face_set(self.out)
        return writer

    def build_part(self, number: int, parts: int) -> FaceSetWriter:
        """Write one part, and let all become the face set if it was the last."""
        if self.is_made:
            self.progress.say(f"{self.out} is complete already")
            return self.made()
        path, mark = self._part(number, parts), self._mark(number, parts)
        writer = self._writer(path, mark, overwrite=face_set_job(path) != mark)
        with writer:
            if not _is_complete(writer, path, self.progress):
                _append_all(part_of(self.stream, number, parts), writer, self.progress)
        put_face_set(path)
        if not self.missing(parts):
            with suppress(BusyError):  # whose part was the last as well joins them
                self.join(parts)
        return writer

    def join(self, parts: int) -> FaceSetWriter:
        """Make one face set of all parts, if that is not done yet.

        Raises:
            NoFaceError, NoImagesError: none of them holds a face.
            BusyError: another run does so.
            SetError: a part is missing or damaged.
        """
        paths = [self._part(number, parts) for number in range(1, parts + 1)]
        with self.writer(self.overwrite and not self.is_made) as writer:
            if not writer.complete:
                writer.link([FaceSet.open(path) for path in paths])
                require_faces(len(writer), writer.problems, self.sources)
        put_face_set(self.out)
        for path in paths:
            remove_folder(path)
        with suppress(OSError):  # other things are there
            copy_path(self.folder).rmdir()
        return self.made()

    def made(self) -> FaceSetWriter:
        """Return what wrote the face set that is there, which knows what it was made of."""
        with self.writer(overwrite=False) as writer:
            return writer

    def writer(self, overwrite: bool) -> FaceSetWriter:
        """Return what writes the whole face set."""
        return self._writer(self.out, self.fingerprint, overwrite)

    def _part(self, number: int, parts: int) -> Path:
        return self.folder / f"part-{number:05d}-of-{parts:05d}"

    def _mark(self, number: int, parts: int) -> str:
        return digest([self.fingerprint, f"{number}/{parts}"])

    def _writer(self, path: Path, fingerprint: str, overwrite: bool) -> FaceSetWriter:
        size, place = self.stream.crop_size, copy_path(path)
        return FaceSetWriter(place, TEMPLATE_NAME, size, fingerprint=fingerprint, overwrite=overwrite)


def open_job(
    sources: Sequence[Path],
    out: Path | str,
    options: FaceOptions,
    device: str | None,
    progress: Progress,
    *,
    crop_size: int = CROP_SIZE,
    overwrite: bool = False,
    in_parts: bool = False,
) -> FaceSetJob:
    """List the sources of a face set.

    Args:
        sources: what the user named; no face sets.
        out: folder of the face set, here or as an address.
        options: how sources are read and which of their faces are taken.
        device: where the detector runs; None takes the best one present.
        progress: told what the sources are.
        crop_size: side of the crops in pixels, one of CROP_SIZES.
        overwrite: replace a face set that is there, once the new one is complete.
        in_parts: know the sources by their sizes and times, and not by their content, all of which each maker of a part
            would have to read.

    Raises:
        FerkitError: as `ferkit.align`.
    """
    if crop_size not in CROP_SIZES:
        raise InputError(f"crops of {crop_size} px are not made; take {', '.join(map(str, CROP_SIZES))}")
    for path in sources:
        if is_face_set(path):
            raise InputError(
                f"{str(path)!r} is a face set already; `ferkit embed` and `ferkit pretrain` take it as it is"
            )
    refuse_foreign(Path(out))  # before anything is read
    fetch_face_set(Path(out))  # what is there is neither made again nor replaced unasked
    stream = open_pictures(sources, options, device, progress, crop_size)
    fingerprint = stream.listing if in_parts else stream.read_fingerprint(progress)
    job = FaceSetJob(sources, stream, fingerprint, Path(out), progress, overwrite)
    job.writer(overwrite)  # refuses a name that is taken, before long work
    return job


def build_face_set(
    sources: Sequence[Path], out: Path | str, options: FaceOptions, device: str | None, progress: Progress
) -> FaceSetWriter:
    """Find the faces of all sources and write them as a face set: `open_job` and `FaceSetJob.build`."""
    return open_job(sources, out, options, device, progress).build()


def _is_complete(writer: FaceSetWriter, path: Path, progress: Progress) -> bool:
    if writer.complete:
        progress.say(f"{path} is complete already")
    return writer.complete


def _append_all(stream: FaceStream, writer: FaceSetWriter, progress: Progress) -> None:
    done = writer.pictures_done
    for batch in with_progress("aligning", stream, done, writer.state, len(writer), progress):
        done += batch.pictures
        writer.append(batch.crops, batch.faces, pictures_done=done, problems=batch.problems, state=batch.state)
