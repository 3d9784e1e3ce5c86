"""Find every face of photos, bring each onto the template, and keep the crops as a face set."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ferkit.data.face_set import FaceSetWriter, is_face_set
from ferkit.errors import InputError
from ferkit.faces.template import CROP_SIZE, TEMPLATE_NAME
from ferkit.progress import Progress, Silent
from ferkit.workflows.faces_of import (
    MIN_FACE,
    PictureStream,
    open_pictures,
    require_faces,
    source_paths,
    split_problems,
)

__all__ = ["AlignResult", "align"]


@dataclass(frozen=True)
class AlignResult:
    """Where the face set lies and what it was made of.

    Attributes:
        path: folder of the face set; its ``problems.csv`` lists the pictures that gave no face.
        faces: crops in it.
        pictures: pictures that were looked at.
        faceless: sources that show no face.
        unreadable: (source, why) of those that cannot be read.
        seconds: how long this run took.
    """

    path: Path
    faces: int
    pictures: int
    faceless: list[str]
    unreadable: list[tuple[str, str]]
    seconds: float


def align(
    sources: str | Path | Sequence[str | Path],
    out: str | Path = "faces",
    *,
    aligned: bool | None = None,
    min_face: float = MIN_FACE,
    device: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> AlignResult:
    """Make a face set of photos, or of pictures that are face crops already.

    A run that was stopped goes on where it was when it is started again with the same arguments; the face set appears
    whole at the end.

    Args:
        sources: photos, folders of them, or parquet files with an image column.
        out: folder of the face set.
        aligned: take the pictures as face crops (True), search them for faces (False), or decide by their looks (None).
        min_face: side in pixels of the smallest face to look for, at the size at which photos are decoded (longer side
            at least 1600 px); below 1, a share of the photo's shorter side.
        device: ``cpu``, ``cuda``, …; None takes the best one present.
        overwrite: replace a face set that is there, once the new one is complete.
        progress: told of every batch.

    Raises:
        MissingPathError, NoImagesError: there is nothing to read.
        NoFaceError: no picture shows a face.
        InputError: a source is a face set already.
        OutputError: ``out`` is taken or cannot be written; nothing that was there has changed.
    """
    paths, progress = source_paths(sources), progress or Silent()
    _refuse_face_sets(paths)
    stream = open_pictures(paths, aligned=aligned, device=device, min_face=min_face, progress=progress)
    writer = FaceSetWriter(out, TEMPLATE_NAME, CROP_SIZE, fingerprint=stream.fingerprint, overwrite=overwrite)
    started = time.monotonic()
    with writer:
        _append_all(stream, writer, progress)
        require_faces(len(writer), writer.problems, paths)
    faceless, unreadable = split_problems(writer.problems)
    seconds = time.monotonic() - started
    return AlignResult(Path(out), len(writer), stream.total, faceless, unreadable, seconds)


def _refuse_face_sets(paths: Sequence[Path]) -> None:
    for path in paths:
        if is_face_set(path):
            raise InputError(
                f"{str(path)!r} is a face set already; `ferkit embed` and `ferkit pretrain` take it as it is"
            )


def _append_all(stream: PictureStream, writer: FaceSetWriter, progress: Progress) -> None:
    done = writer.pictures_done
    if done:
        progress.say(f"going on after {done:,} of {stream.total:,} pictures")
    progress.start("aligning", stream.total, done)
    for batch in stream.batches(done):
        done += batch.pictures
        writer.append(batch.crops, batch.faces, pictures_done=done, problems=batch.problems)
        progress.advance(batch.pictures, note=f"{len(writer):,} faces")
