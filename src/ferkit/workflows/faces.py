"""Work on whole face sets: say what is in one, join several, take a part, split one for training and testing."""

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ferkit._version import __version__
from ferkit.data.face_selection import at_most_per_value, first_of_each, picture_of, unit_of
from ferkit.data.face_set import FaceSet, FaceSetWriter
from ferkit.data.filters import MEASURES, FaceFilter
from ferkit.errors import InputError
from ferkit.pipeline import FACES
from ferkit.pipeline.face_options import FilterKeywords
from ferkit.pipeline.fingerprint import digest
from ferkit.progress import Progress, Silent
from ferkit.report.contact_sheet import draw_contact_sheet
from ferkit.report.safe_picture import require_replaceable, save_picture
from ferkit.search.where import rows_where

Rows = NDArray[np.int64]

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Which quantiles `faces_info` tells."""

_BATCH = 512


@dataclass(frozen=True)
class FacesInfo:
    """What is in a face set."""

    path: Path  # its folder
    template: str  # what the crops are aligned to
    size: int  # height and width of a crop in pixels
    bytes: int  # what its files take
    faces: int  # crops
    pictures: int  # photos, crops and frames that they come from
    unit: str  # which of them: ``pictures``, ``frames`` or ``pictures and frames``
    videos: int  # video files among the sources
    clips: int  # faces followed through a video
    identities: int  # people, where they are named
    without_identity: int  # faces of nobody named
    labels: dict[str, int]  # faces of each label, most frequent first
    without_label: int  # faces that have none
    duplicates: int  # faces whose pixels an earlier face has too
    # size, sharpness, yaw (to either side), score and clipped: the values at `QUANTILES`, of the faces that have one;
    # left out where none has
    quality: dict[str, tuple[float, ...]]
    sheet: Path | None  # the picture of some faces, if one was asked for


@dataclass(frozen=True)
class MergeResult:
    """The face set at ``path``: its ``faces`` come from ``sets`` sets, which had ``duplicates`` more."""

    path: Path
    faces: int
    sets: int
    duplicates: int


@dataclass(frozen=True)
class FilterResult:
    """The face set at ``path``: ``faces`` of the ``total``; ``dropped`` counts by the first condition not met."""

    path: Path
    faces: int
    total: int
    dropped: dict[str, int]


def faces_info(
    faces: str | Path = FACES, *, sheet: str | Path | None = None, sheet_faces: int = 96, seed: int = 0
) -> FacesInfo:
    """Count what is in a face set, compare every crop with its digest, and draw some of its faces.

    Args:
        faces: folder of the face set.
        sheet: picture to write: faces drawn at random; nothing but an earlier drawing is replaced.
        sheet_faces: how many.
        seed: which ones.

    Raises:
        SetError: ``faces`` is no face set, or is damaged.
        InputError: ``sheet`` has no suffix of a picture, or there is no face to draw.
        OutputError: the picture cannot be written, or would replace one that ferkit did not draw.
    """
    face_set = FaceSet.open(faces)
    for part, rows in _batches([face_set], 0):
        part.crops(rows)
    if sheet is not None:
        _draw_sheet(face_set, Path(sheet), sheet_faces, seed)
    labels = Counter(face_set.column("label").drop_null().to_pylist())
    sources = face_set.column("source")
    containers = picture_of(sources)
    return FacesInfo(
        path=face_set.path,
        template=face_set.template,
        size=face_set.size,
        bytes=sum(file.stat().st_size for file in face_set.path.iterdir()),
        faces=len(face_set),
        pictures=_distinct(sources),
        unit=unit_of(face_set.column("time_s")),
        videos=_distinct(containers.filter(pc.not_equal(containers, sources))),
        clips=_distinct(face_set.column("clip")),
        identities=_distinct(face_set.column("identity")),
        without_identity=face_set.column("identity").null_count,
        labels=dict(sorted(labels.items(), key=lambda item: (-item[1], item[0]))),
        without_label=len(face_set) - labels.total(),
        duplicates=len(face_set) - _distinct(face_set.column("sha256")),
        quality=_quality(face_set),
        sheet=None if sheet is None else Path(sheet),
    )


def merge_faces(
    sets: Sequence[str | Path],
    out: str | Path,
    *,
    dedupe: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> MergeResult:
    """Join face sets, one behind the other.

    Args:
        sets: folders of face sets.
        out: folder of the new one; a run that was killed goes on where it stopped.
        dedupe: leave out faces whose pixels an earlier one has.
        overwrite: replace a face set that is there, once the new one is complete.
        progress: told of every batch.

    Raises:
        SetError: one of them is no face set, or is damaged.
        InputError: they follow different templates, or hold no face.
        OutputError: ``out`` is taken or cannot be written; nothing that was there has changed.
    """
    opened = [FaceSet.open(path) for path in sets]
    _require_one_template(opened)
    wanted = [np.ones(len(face_set), np.bool_) for face_set in opened]
    if dedupe:
        digests = pa.chunked_array(
            [chunk for face_set in opened for chunk in face_set.column("sha256").chunks], pa.string()
        )
        wanted = np.split(first_of_each(digests), np.cumsum([len(face_set) for face_set in opened])[:-1])
    taken = [face_set.subset(np.flatnonzero(mask)) for face_set, mask in zip(opened, wanted, strict=True)]
    copied = copy_faces(taken, Path(out), "merging", overwrite, progress or Silent())
    return MergeResult(Path(out), copied, len(opened), sum(map(len, opened)) - copied)


def filter_faces(
    faces: str | Path,
    out: str | Path,
    *,
    where: str | None = None,
    dedupe: bool = False,
    per_identity: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **limits: Unpack[FilterKeywords],
) -> FilterResult:
    """Take the part of a face set that meets every condition; a face that lacks a value does not meet one on it.

    Args:
        faces: folder of the face set.
        out: folder of the new one; a run that was killed goes on where it stopped.
        where: condition on the columns, such as ``"label = 'fear' and score > .9"``, see
            `ferkit.search.where.rows_where`.
        dedupe: of faces with the same pixels only the first.
        per_identity: at most so many faces of each identity, spread evenly over those it has; faces of nobody named
            stay.
        overwrite: replace a face set that is there, once the new one is complete.
        progress: told of every batch.
        limits: fields of `ferkit.data.filters.FaceFilter`, such as ``min_size=40``.

    Raises:
        SetError: ``faces`` is no face set, or is damaged.
        InputError: a condition cannot be understood, or no face meets all of them.
        OutputError: ``out`` is taken or cannot be written; nothing that was there has changed.
    """
    if per_identity is not None and per_identity < 1:
        raise InputError(f"--per-identity must be at least 1, not {per_identity}")
    face_set = FaceSet.open(faces)
    rows, dropped = np.arange(len(face_set)), dict[str, int]()

    def keep(option: str, kept: Rows) -> Rows:
        dropped[option] = len(rows) - len(kept)
        return kept

    for limit in FaceFilter(**limits).each():
        passed = limit.keep_rows(face_set.columns(MEASURES))
        rows = keep(limit.describe(), rows[passed[rows]])
    if where is not None:
        rows = keep(f"--where {where}", rows[rows_where(where, face_set)[rows]])
    if dedupe:
        rows = keep("--dedupe", rows[first_of_each(face_set.column("sha256").take(rows))])
    if per_identity is not None:
        rows = keep(
            f"--per-identity {per_identity}", at_most_per_value(face_set.column("identity"), rows, per_identity)
        )
    if not len(rows):
        raise InputError(_nothing_left(face_set, dropped))
    copied = copy_faces([face_set.subset(rows)], Path(out), "filtering", overwrite, progress or Silent())
    return FilterResult(Path(out), copied, len(face_set), dropped)


def copy_faces(sets: Sequence[FaceSet], out: Path, task: str, overwrite: bool, progress: Progress) -> int:
    """Write the faces of some sets, or parts of sets, as one; a killed run goes on where it stopped.

    Returns:
        How many there are.

    Raises:
        InputError: there is none.
        OutputError: ``out`` is taken or cannot be written; nothing that was there has changed.
    """
    total = sum(map(len, sets))
    if not total:
        raise InputError(f"there is no face in {', '.join(repr(str(face_set.path)) for face_set in sets)}")
    first = sets[0]
    writer = FaceSetWriter(out, first.template, first.size, fingerprint=fingerprint(sets), overwrite=overwrite)
    with writer:
        if writer.complete:
            progress.say(f"{out} is complete already")
        done = writer.pictures_done
        progress.start(task, total, done, "faces")
        for face_set, rows in _batches(sets, done):
            done += len(rows)
            writer.append(face_set.crops(rows), face_set.faces(rows), pictures_done=done)
            progress.advance(len(rows))
    return total


def _batches(sets: Sequence[FaceSet], done: int) -> Iterator[tuple[FaceSet, range]]:
    """Yield the rows that are left when ``done`` of them, counted over all sets, are behind us."""
    for face_set in sets:
        for start in range(min(done, len(face_set)), len(face_set), _BATCH):
            yield face_set, range(start, min(start + _BATCH, len(face_set)))
        done = max(0, done - len(face_set))


def fingerprint(sets: Sequence[FaceSet]) -> str:
    """Digest of the faces of some sets, by content."""
    return digest([f"ferkit {__version__}", *(face_set.digest for face_set in sets)])


def _require_one_template(sets: Sequence[FaceSet]) -> None:
    for face_set in sets[1:]:
        if (face_set.template, face_set.size) != (sets[0].template, sets[0].size):
            raise InputError(
                f"{_named(sets[0])} and {_named(face_set)} cannot be one set; align the photos of one of them again"
            )


def _named(face_set: FaceSet) -> str:
    return f"{str(face_set.path)!r} ({face_set.size} px of {face_set.template})"


def _nothing_left(face_set: FaceSet, dropped: Mapping[str, int]) -> str:
    by = ", ".join(f"{option} {count:,}" for option, count in dropped.items() if count)
    path = str(face_set.path)
    see = f"see `ferkit faces info {shlex.quote(path)}`"
    return f"none of the {len(face_set):,} faces of {path!r} is left ({by}); {see}"


def _numbers(face_set: FaceSet, name: str) -> NDArray[np.float64]:
    numbers: NDArray[np.float64] = face_set.column(name).to_numpy().astype(np.float64)  # None becomes NaN
    return numbers


def _quality(face_set: FaceSet) -> dict[str, tuple[float, ...]]:
    values = {name: _numbers(face_set, name) for name in ("size", "sharpness", "yaw", "score", "clipped")}
    known = {name: np.abs(column[~np.isnan(column)]) for name, column in values.items()}
    return {name: tuple(np.quantile(column, QUANTILES).tolist()) for name, column in known.items() if len(column)}


def _draw_sheet(face_set: FaceSet, path: Path, count: int, seed: int) -> None:
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise InputError(f"{str(path)!r} does not end as a picture does; try {path.name + '.png'!r}")
    if not len(face_set):
        raise InputError(f"{str(face_set.path)!r} holds no face to draw")
    require_replaceable(path)
    rows = np.random.default_rng(seed).permutation(len(face_set))[:count]
    save_picture(draw_contact_sheet(face_set.crops(rows)), path)


def _distinct(column: pa.ChunkedArray) -> int:
    return int(pc.count_distinct(column).as_py())
