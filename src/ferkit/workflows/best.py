"""Choose the best photo of every burst: the face that shows an expression most clearly."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.face_set import is_face_set
from ferkit.data.sources import SourceRules, find_picture, open_sources
from ferkit.errors import InputError
from ferkit.pipeline.face_options import FaceKeywords, FaceOptions
from ferkit.pipeline.face_stream import source_paths
from ferkit.pipeline.likeness import Likeness, faces_like
from ferkit.pipeline.recrop import row_crops
from ferkit.progress import Progress, Silent
from ferkit.report.montage import Tile, draw_montage
from ferkit.report.output_files import check_output_files, copy_photos, named_files, write_rows
from ferkit.report.safe_picture import save_picture
from ferkit.search.bursts import Candidate, find_bursts, photo_look, reasons, worth
from ferkit.workflows.embed import open_or_embed

_THUMBNAIL = 64
_ONLY_VIDEOS = "there are only videos among the sources; `ferkit moments` chooses frames of these"


@dataclass(frozen=True)
class BestShot:
    """The best face of one burst."""

    burst: int  # its number, from 1, in the order of the photos
    photos: int  # how many the burst has
    source: str  # absolute path of the photo, or its container's and the place in it
    face: int  # number of the face in it, from 1, left to right
    # how much it shows the expression: a probability, or the cosine where the encoder has no curve for one
    score: float
    sharpness: float  # in [0, 1]
    size: float  # shorter side of its box in pixels
    yaw: float | None  # degrees that the head is turned by; None where that is not known
    pitch: float | None  # degrees, likewise
    worth: float  # what decided, see `ferkit.search.bursts.worth`
    reasons: str  # in what it is ahead of the other faces of the burst, and in what behind
    row: int  # in the embedding set


@dataclass(frozen=True)
class BestResult:
    """The best photo of every burst."""

    like: str  # the picture or expression that was asked for
    measure: str  # what scores are: ``probability`` or ``cosine``
    photos: int  # that show a face
    encoder: str  # name of the encoder
    shots: list[BestShot]  # one a burst, in the order of the photos
    outputs: dict[str, Path]  # files and folders that were written, by what they are


def best(
    sources: str | Path | Sequence[str | Path],
    like: str | Path,
    *,
    face: int | None = None,
    burst_seconds: float = 3.0,
    keep: str | Path | None = None,
    sheet: str | Path | None = None,
    csv: str | Path | None = None,
    copy_to: str | Path | None = None,
    encoder: str | Path | None = None,
    device: str | None = None,
    progress: Progress | None = None,
    **options: Unpack[FaceKeywords],
) -> BestResult:
    """Choose of every burst of photos the one with the best face: most like it, sharp, large, and to the camera.

    Photos taken within ``burst_seconds`` of each other (by EXIF), or next to each other and near-equal, are a burst.

    Args:
        sources: photos, or the ``.npy`` file of an embedding set of photos.
        like: a picture of a face, or the name of one of the eight expressions.
        face: which face of the picture to take, from 1, left to right; None takes the largest.
        burst_seconds: at most between two photos of a burst.
        keep: ``.npy`` file in which the embeddings of the photos stay, to be asked again at once.
        sheet: ``.png`` file for the best faces.
        csv: ``.csv``, ``.tsv`` or ``.parquet`` file for the table.
        copy_to: new folder for copies of the photos.
        encoder: of the photos; None takes the default one, or where there is a set, the set's.
        device: ``cpu``, ``cuda``, …; None takes the best one present.
        progress: told of every step.
        options: fields of `ferkit.pipeline.face_options.FaceOptions`, such as ``min_face=80``.

    Raises:
        SetError, EncoderMismatchError: the set is missing or damaged, or of another encoder.
        MissingPathError, UnreadableImageError, NoFaceError: picture or photos are not there, or show no face.
        InputError: there are only videos, or an option is out of range.
        OutputError: something cannot be written; nothing that was there has changed.
    """
    paths, progress, given = source_paths(sources), progress or Silent(), FaceOptions(**options)
    if not burst_seconds >= 0:
        raise InputError(f"--burst-seconds must be 0 or more, not {burst_seconds}")
    outputs = named_files(sheet=sheet, csv=csv, copies=copy_to)
    check_output_files(outputs, paths, BestShot)
    paths = _without_videos(paths, given, progress)
    with open_or_embed(paths, given, encoder, device, None if keep is None else Path(keep), progress) as searcher:
        found = searcher.set
        photos = _photos(found)
        liked = faces_like(searcher, like, face, given, device, progress)
        shots = _best_of_bursts(found, photos, liked, burst_seconds)
        if "sheet" in outputs:
            save_picture(_sheet(found, shots, liked), outputs["sheet"])
    if "csv" in outputs:
        write_rows(shots, BestShot, outputs["csv"])
    if "copies" in outputs:
        copy_photos(((shot.burst, shot.source, None) for shot in shots), outputs["copies"], progress)
    return BestResult(str(like), liked.measure, len(photos), found.encoder.name, shots, outputs)


def _without_videos(paths: list[Path], options: FaceOptions, progress: Progress) -> list[Path]:
    """Return photos by their own places where there are videos beside them, so that no frame is embedded for nothing.

    Raises:
        InputError: there are only videos.
    """
    if options.layout is not None or any(path.suffix == ".npy" or is_face_set(path) for path in paths):
        return paths
    opened = open_sources(paths, SourceRules(columns=options.columns))
    if not opened.videos:
        return paths
    if not opened.pictures:
        raise InputError(_ONLY_VIDEOS)
    progress.say(f"{len(opened.videos):,} videos are left out; `ferkit moments` chooses frames of these")
    return [Path(picture.source) for picture in opened.pictures]


def _photos(found: EmbeddingSet) -> dict[str, list[int]]:
    """The rows of each photo, in the order of the set; frames of videos are none."""
    table = found.columns(["source", "time_s"])
    rows = np.flatnonzero(pc.is_null(table.column("time_s")).to_numpy()).tolist()
    sources = table.column("source").to_pylist()
    photos: dict[str, list[int]] = {}
    for row in rows:
        photos.setdefault(sources[row], []).append(row)
    if not photos:
        raise InputError(_ONLY_VIDEOS)
    return photos


def _best_of_bursts(
    found: EmbeddingSet, photos: dict[str, list[int]], liked: Likeness, seconds: float
) -> list[BestShot]:
    names = list(photos)
    times: list[float | None] = []
    looks: list[NDArray[np.float64]] = []
    for name in names:
        try:
            picture = find_picture(name)
            times.append(picture.capture_time())
            looks.append(photo_look(picture.read(at_least=_THUMBNAIL)))
        except InputError:  # it has gone: a burst of its own
            del times[len(looks) :]
            times.append(None)
            looks.append(photo_look(np.zeros((1, 1, 3), np.uint8)))
    shots = []
    for number, burst in enumerate(find_bursts(times, looks, seconds), 1):
        rows = [row for photo in burst for row in photos[names[photo]]]
        faces = found.faces_of(rows)
        scores = liked.scores[rows]
        likeness = scores if liked.measure == "probability" else (1 + scores) / 2
        candidates = [
            Candidate(float(alike), face.sharpness or 0.0, face.size or 0.0, face.yaw, face.pitch)
            for alike, face in zip(likeness, faces, strict=True)
        ]
        values = worth(candidates)
        at = int(values.argmax())
        seen, one = faces[at], candidates[at]
        told = ", ".join(reasons(candidates, at))
        measured = (round(float(scores[at]), 6), one.sharpness, round(one.size, 1), one.yaw, one.pitch)
        value = round(float(values[at]), 6)
        shots.append(BestShot(number, len(burst), seen.source, seen.face, *measured, value, told, rows[at]))
    return shots


def _sheet(found: EmbeddingSet, shots: Sequence[BestShot], liked: Likeness) -> Any:  # noqa: ANN401 (a picture)
    crops = row_crops(found, [shot.row for shot in shots])
    tiles = [
        Tile(crop, f"{shot.score:.2f} · 1 of {shot.photos}", Path(shot.source).name)
        for crop, shot in zip(crops, shots, strict=True)
    ]
    return draw_montage(
        Tile(liked.crop, "like", liked.name), tiles, Path(found.encoder.name).name, heading="the best of each burst"
    )
