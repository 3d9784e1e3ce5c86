"""Find every face of photos, bring each onto the template, and keep the crops as a face set."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from ferkit.faces.template import CROP_SIZE
from ferkit.pipeline.face_options import FaceKeywords, FaceOptions
from ferkit.pipeline.face_set_builder import open_job
from ferkit.pipeline.face_stream import source_paths, split_problems
from ferkit.pipeline.parts import parse_part
from ferkit.progress import Progress, Silent


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
