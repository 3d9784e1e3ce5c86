"""Find when faces in videos show an expression, and for how long."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ferkit.atomic import atomic_path
from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.face_selection import Clip, clips_of
from ferkit.data.sources.video import frame_png, frames_at
from ferkit.errors import InputError, OutputError
from ferkit.pipeline.face_options import FaceKeywords, FaceOptions
from ferkit.pipeline.face_stream import source_paths
from ferkit.pipeline.recrop import row_crops
from ferkit.progress import Progress, Silent
from ferkit.report.montage import Tile, draw_montage
from ferkit.report.safe_picture import check_picture_output, save_picture
from ferkit.report.table_file import check_table_output, write_table_file
from ferkit.search.moment_settings import MomentKeywords, MomentSettings
from ferkit.search.moments import Moment, find_moments, smoothed
from ferkit.settings import part_settings
from ferkit.workflows.likeness import Likeness, faces_like, opened_set

_NEAREST = 5
_MOST_PANELS = 12
_NAME_LENGTH = 80


@dataclass(frozen=True)
class MomentHit:
    """One rise and fall of an expression on one face.

    Attributes:
        rank: 1 for the highest score.
        score: smoothed, at its highest: a probability, or the cosine where the encoder has no curve for one.
        clip: the face that was followed, ``/path/x.mp4@1``.
        identity: who it is, where the source said so.
        onset_s: seconds in the video when the score has risen half of the way, or the face is first seen.
        apex_s: when the frame that shows it best is shown.
        offset_s: when it has fallen half of the way, or the face is last seen.
        source: the frame of the apex, ``/path/x.mp4#123``.
        face: its number in that frame, from 1, left to right.
        row: of the apex in the embedding set.
    """

    rank: int
    score: float
    clip: str
    identity: str | None
    onset_s: float
    apex_s: float
    offset_s: float
    source: str
    face: int
    row: int


@dataclass(frozen=True)
class MomentsResult:
    """The moments that were found.

    Attributes:
        like: the picture or expression that was asked for.
        measure: what scores are: ``probability`` or ``cosine``.
        least: score that a moment had to reach.
        reached: whether any did; if not, the best are listed all the same.
        clips: faces that were followed.
        frames: faces in all their frames.
        encoder: name of the encoder.
        moments: highest score first.
        outputs: files and folders that were written, by what they are.
    """

    like: str
    measure: str
    least: float
    reached: bool
    clips: int
    frames: int
    encoder: str
    moments: list[MomentHit]
    outputs: dict[str, Path]


class MomentsKeywords(MomentKeywords, FaceKeywords, total=False):
    """What counts as a moment, and how faces are found."""


def moments(
    sources: str | Path | Sequence[str | Path],
    like: str | Path,
    *,
    k: int | None = None,
    face: int | None = None,
    min_probability: float = 0.5,
    keep: str | Path | None = None,
    sheet: str | Path | None = None,
    plot: str | Path | None = None,
    csv: str | Path | None = None,
    frames: str | Path | None = None,
    encoder: str | Path | None = None,
    device: str | None = None,
    progress: Progress | None = None,
    **options: Unpack[MomentsKeywords],
) -> MomentsResult:
    """Find the moments at which faces in videos show an expression: one for each rise and fall, the clearest first.

    Args:
        sources: videos, or the ``.npy`` file of an embedding set of videos.
        like: a picture of a face, or the name of one of the eight expressions.
        k: how many moments to return, at least 1; None returns all.
        face: which face of the picture to take, from 1, left to right; None takes the largest.
        min_probability: that a moment must reach; cosines must reach 0. Where none does, the best five are returned.
        keep: ``.npy`` file in which the embeddings of the videos stay, to be asked again at once.
        sheet: ``.png`` file for the faces at their apex.
        plot: ``.png`` file for the scores over time.
        csv: ``.csv``, ``.tsv`` or ``.parquet`` file for a table of the moments.
        frames: new folder for the frames of the apexes.
        encoder: of the videos; None takes the default one, or where there is a set, the set's.
        device: ``cpu``, ``cuda``, …; None takes the best one present.
        progress: told of every step.
        options: fields of `ferkit.search.moments.MomentSettings`, such as ``prominence=0.3``, and of
            `ferkit.pipeline.face_options.FaceOptions`, such as ``fps=5``.

    Raises:
        SetError, EncoderMismatchError: the set is missing or damaged, or of another encoder.
        MissingPathError, UnreadableImageError, NoFaceError: the picture or the videos are not there, or show no face.
        InputError: nothing is a video, or an option is out of range.
        OutputError: something cannot be written; nothing that was there has changed.
    """
    paths, progress = source_paths(sources), progress or Silent()
    settings, given = part_settings(options, MomentSettings, FaceOptions)
    _check(k, min_probability)
    outputs = {
        name: Path(path)
        for name, path in {"sheet": sheet, "plot": plot, "csv": csv, "frames": frames}.items()
        if path is not None
    }
    _check_outputs(outputs, paths)
    with opened_set(paths, given, encoder, device, None if keep is None else Path(keep), progress) as searcher:
        found = searcher.set
        clips = clips_of(found.columns(["clip", "time_s"]))
        if not clips:
            raise InputError("there is no video among the sources, only pictures; `ferkit retrieve` searches these")
        liked = faces_like(searcher, like, face, given, device, progress)
        least = min_probability if liked.measure == "probability" else 0.0
        hits = _ranked(found, clips, liked.scores, settings, least)
        reached = bool(hits)
        hits = (hits or _ranked(found, clips, liked.scores, settings, -np.inf)[:_NEAREST])[:k]
        if "sheet" in outputs:
            save_picture(_sheet(found, hits, liked), outputs["sheet"])
        if "plot" in outputs:
            title = f"like {liked.tile.name} · {Path(found.encoder.name).name}"
            save_picture(_plot(clips, liked, hits, settings, least, title), outputs["plot"])
    if "csv" in outputs:
        write_table_file(_table(hits), outputs["csv"])
    if "frames" in outputs:
        _save_frames(hits, outputs["frames"], progress)
    counted = sum(len(clip.rows) for clip in clips)
    return MomentsResult(
        str(like), liked.measure, least, reached, len(clips), counted, found.encoder.name, hits, outputs
    )


def _check(k: int | None, min_probability: float) -> None:
    if k is not None and k < 1:
        raise InputError(f"{k} moments were asked for; ask for 1 or more")
    if not 0 <= min_probability <= 1:
        raise InputError(f"--min-probability must lie between 0 and 1, not {min_probability}")


def _check_outputs(outputs: Mapping[str, Path], sources: Sequence[Path]) -> None:
    for name, path in outputs.items():
        if name in ("sheet", "plot"):
            check_picture_output(path, sources)
        elif name == "csv":
            check_table_output(path)
        elif path.is_file() or (path.is_dir() and any(path.iterdir())):
            raise OutputError(f"{str(path)!r} is there already; give --frames a new folder")


def _ranked(
    found: EmbeddingSet, clips: Sequence[Clip], scores: NDArray[np.float64], settings: MomentSettings, least: float
) -> list[MomentHit]:
    pairs = [
        (clip, moment)
        for clip in clips
        for moment in find_moments(clip.times, scores[clip.rows], settings, least=least)
    ]
    pairs.sort(key=lambda pair: -pair[1].score)  # stable: of equals the earlier
    return [_hit(found, rank, clip, moment) for rank, (clip, moment) in enumerate(pairs, 1)]


def _hit(found: EmbeddingSet, rank: int, clip: Clip, moment: Moment) -> MomentHit:
    row = int(clip.rows[moment.place])
    face = found.face(row)
    onset, apex, offset = (round(seconds, 6) for seconds in (moment.onset_s, moment.apex_s, moment.offset_s))
    score = round(moment.score, 6)
    return MomentHit(rank, score, clip.name, face.identity, onset, apex, offset, face.source, face.face, row)


def _table(hits: Sequence[MomentHit]) -> pa.Table:
    return pa.table({field.name: [getattr(hit, field.name) for hit in hits] for field in fields(MomentHit)})


def _sheet(found: EmbeddingSet, hits: Sequence[MomentHit], liked: Likeness) -> Any:  # noqa: ANN401 (a picture)
    crops = row_crops(found, [hit.row for hit in hits])
    tiles = [
        Tile(
            crop,
            f"{hit.score:.2f} · {hit.apex_s:.2f} s",
            f"{hit.onset_s:.2f}–{hit.offset_s:.2f} s · {_name(hit.clip)}",
        )
        for crop, hit in zip(crops, hits, strict=True)
    ]
    return draw_montage(liked.tile, tiles, Path(found.encoder.name).name, heading="moments, each at its apex")


def _plot(
    clips: Sequence[Clip],
    liked: Likeness,
    hits: Sequence[MomentHit],
    settings: MomentSettings,
    least: float,
    title: str,
) -> Any:  # noqa: ANN401 (a picture)
    from ferkit.report.time_charts import Mark, ScoreCurve, draw_moments

    marked: dict[str, list[MomentHit]] = {}
    for hit in hits:
        marked.setdefault(hit.clip, []).append(hit)
    shown = [clip for clip in clips if clip.name in marked] or list(clips)
    curves = [
        ScoreCurve(
            _name(clip.name),
            clip.times,
            liked.scores[clip.rows],
            smoothed(clip.times, liked.scores[clip.rows], settings),
            [Mark(hit.rank, hit.onset_s, hit.apex_s, hit.offset_s) for hit in marked.get(clip.name, [])],
        )
        for clip in shown[:_MOST_PANELS]
    ]
    return draw_moments(curves, title, liked.measure, settings.gap, least)


def _save_frames(hits: Sequence[MomentHit], folder: Path, progress: Progress) -> None:
    wanted: dict[str, dict[int, list[MomentHit]]] = {}
    for hit in hits:
        path, _, number = hit.source.rpartition("#")
        wanted.setdefault(path, {}).setdefault(int(number), []).append(hit)
    saved = 0
    with atomic_path(folder) as partial:
        partial.mkdir()
        for path, frames in wanted.items():
            for frame in frames_at(Path(path), {number: same[0].apex_s for number, same in frames.items()}):
                for hit in frames[frame.number]:
                    name = f"{hit.rank:03d} {Path(path).stem[:_NAME_LENGTH]} {hit.apex_s:.2f} s.png"
                    (partial / name).write_bytes(frame_png(frame.image))
                    saved += 1
    if saved < len(hits):
        progress.say(f"{len(hits) - saved} of the {len(hits)} frames cannot be read again: their videos have gone")


def _name(clip: str) -> str:
    return Path(clip).name
