"""Find every face of photos, bring each onto the template, and keep the crops as a face set, in one go or in parts."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Unpack

from ferkit.data.stores import copy_path, driver_mark
from ferkit.faces.template import CROP_SIZE
from ferkit.locks import output_lock
from ferkit.pipeline.engine import PartKeywords, PartSettings, work_off
from ferkit.pipeline.face_options import FaceKeywords, FaceOptions
from ferkit.pipeline.face_set_builder import open_job
from ferkit.pipeline.face_stream import absolute_paths, source_paths, split_problems
from ferkit.pipeline.parts import parse_part
from ferkit.progress import Progress, Silent
from ferkit.settings import part_settings


@dataclass(frozen=True)
class AlignResult:
    """Where the face set lies and what it was made of."""

    path: Path  # folder of the face set; its ``problems.csv`` lists the pictures that gave no face
    faces: int  # crops in it
    pictures: int  # pictures and frames that were looked at
    unit: str  # which of them: ``pictures``, ``frames`` or ``pictures and frames``
    faceless: list[str]  # sources that show no face
    filtered: list[str]  # sources whose faces were all left out by a filter
    unreadable: list[tuple[str, str]]  # (source, why) of those that cannot be read
    seconds: float  # how long this run took


def align(
    sources: str | Path | Sequence[str | Path],
    out: str | Path = "faces",
    *,
    crop_size: int = CROP_SIZE,
    device: str | None = None,
    overwrite: bool = False,
    part: str | None = None,
    progress: Progress | None = None,
    **options: Unpack[FaceKeywords],
) -> AlignResult:
    """Make a face set of photos and videos, or of pictures that are face crops already.

    A run that was stopped goes on where it was when it is started again with the same arguments; the face set appears
    whole at the end.

    Args:
        sources: photos, videos, folders, globs, lists, CSV or parquet files, zip or tar archives.
        out: folder of the face set.
        crop_size: side of the crops in pixels: 128, 160 or 256, for encoders that look at larger pictures. The
            template grows with it, so that all show the same.
        device: ``cpu``, ``cuda``, …; None takes the best one present.
        overwrite: replace a face set that is there, once the new one is complete.
        part: make the seventh of 64 parts, ``7/64``, in ``<out>.parts/``; once all are there, whatever made them, they
            become the face set.
        progress: told of every batch.
        options: how sources are read and which of their faces are taken: the fields of
            `ferkit.pipeline.face_options.FaceOptions`, such as ``min_face=40``.

    Raises:
        MissingPathError, NoImagesError: there is nothing to read.
        NoFaceError: no picture shows a face.
        InputError: a source is a face set already.
        OutputError: ``out`` is taken or cannot be written; nothing that was there has changed.
    """
    started, progress = time.monotonic(), progress or Silent()
    paths, chosen = source_paths(sources), FaceOptions(**options)
    in_parts = part is not None
    job = open_job(paths, out, chosen, device, progress, crop_size=crop_size, overwrite=overwrite, in_parts=in_parts)
    faces = job.build() if part is None else job.build_part(*parse_part(part))
    seconds = time.monotonic() - started
    about = faces.pictures_done, job.stream.sources.unit, *split_problems(faces.problems)
    return AlignResult(Path(out), len(faces), *about, seconds)


class AlignPartsKeywords(PartKeywords, FaceKeywords, total=False):
    """Into how many parts, by which engine, and how sources are read."""


@dataclass(frozen=True)
class AlignPartsResult(AlignResult):
    """The face set, of how many ``parts`` it was made, and how many of them this run has ``made``."""

    parts: int
    made: int


def align_parts(
    sources: str | Path | Sequence[str | Path],
    out: str | Path = "faces",
    *,
    crop_size: int = CROP_SIZE,
    device: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **options: Unpack[AlignPartsKeywords],
) -> AlignPartsResult:
    """Make a face set in parts, which become one when all are there; their crops are linked, not copied.

    A part that is there is not made again, whichever run or machine made it; a worker that dies costs the part that it
    was at, which goes on where it was. One run at a time works on a face set.

    Args:
        sources: as `ferkit.align`; workers must find them at the same places.
        out: folder of the face set, which all workers must see; parts lie in ``<out>.parts/`` until all are there.
        crop_size: as `ferkit.align`.
        device: of each worker; None takes the best one that it sees.
        overwrite: replace a face set that is there, once the new one is complete.
        progress: told of every part.
        options: fields of `ferkit.pipeline.engine.PartSettings`, such as ``parts=64`` and ``engine="ray"``, and of
            `ferkit.pipeline.face_options.FaceOptions`.

    Raises:
        BusyError: another run is at work on the parts.
        InputError: Ray is not installed or cannot be reached, or its workers have another ferkit.
        FerkitError: as `ferkit.align`; finished parts stay.
    """
    settings, chosen = part_settings(options, PartSettings, FaceOptions)
    *paths, folder = absolute_paths([*source_paths(sources), Path(out)])
    progress = progress or Silent()
    started = time.monotonic()
    open_here = partial(
        open_job, paths, folder, chosen, device, crop_size=crop_size, overwrite=overwrite, in_parts=True
    )
    job = open_here(progress)
    with output_lock(copy_path(job.folder)), driver_mark(job.folder):
        left = job.missing(settings.count)
        work_off("aligning", replace(job, progress=Silent()), open_here, left, settings, progress)
        faces = job.join(settings.count)
    about = faces.pictures_done, job.stream.sources.unit, *split_problems(faces.problems)
    seconds = time.monotonic() - started
    return AlignPartsResult(Path(out), len(faces), *about, seconds, settings.count, len(left))
