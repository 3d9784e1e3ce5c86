"""Find when faces in videos show an expression, and for how long."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.face_selection import Clip, clips_of
from ferkit.errors import InputError
from ferkit.pipeline.face_options import FaceKeywords, FaceOptions
from ferkit.pipeline.face_stream import source_paths
from ferkit.pipeline.likeness import faces_like
from ferkit.progress import Progress, Silent
from ferkit.report.moments_page import ShownMoments, save_moments
from ferkit.report.output_files import check_output_files, named_files
from ferkit.search.hits import MomentHit
from ferkit.search.moment_settings import MomentKeywords, MomentSettings
from ferkit.search.moments import Moment, find_moments
from ferkit.settings import part_settings
from ferkit.workflows.embed import open_or_embed

_NEAREST = 5
_SPARSE_S = 0.2  # between two frames: an expression that comes and goes within it is too short for most uses


@dataclass(frozen=True)
class MomentsResult:
    """The moments that were found."""

    like: str  # the picture or expression that was asked for
    measure: str  # what scores are: ``probability`` or ``cosine``
    least: float  # score that a moment had to reach
    reached: bool  # whether any did; if not, the best are listed all the same
    clips: int  # faces that were followed
    frames: int  # faces in all their frames
    encoder: str  # name of the encoder
    moments: list[MomentHit]  # highest score first
    outputs: dict[str, Path]  # files and folders that were written, by what they are


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
    html: str | Path | None = None,
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
        html: ``.html`` file for a page of all of this that needs no other file.
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
    outputs = named_files(sheet=sheet, plot=plot, csv=csv, html=html, frames=frames)
    check_output_files(outputs, paths, MomentHit)
    with open_or_embed(paths, given, encoder, device, None if keep is None else Path(keep), progress) as searcher:
        found = searcher.set
        clips = clips_of(found.columns(["clip", "time_s"]))
        if not clips:
            raise InputError("there is no video among the sources, only pictures; `ferkit retrieve` searches these")
        if paths[0].suffix == ".npy":
            _say_if_sparse(clips, progress)
        liked = faces_like(searcher, like, face, given, device, progress)
        least = min_probability if liked.measure == "probability" else 0.0
        hits = _ranked(found, clips, liked.scores, settings, least)
        reached = bool(hits)
        hits = (hits or _ranked(found, clips, liked.scores, settings, -np.inf)[:_NEAREST])[:k]
        save_moments(outputs, ShownMoments(found, clips, liked, hits, settings, least, reached), progress)
    frame_count = sum(len(clip.rows) for clip in clips)
    return MomentsResult(
        str(like), liked.measure, least, reached, len(clips), frame_count, found.encoder.name, hits, outputs
    )


def _say_if_sparse(clips: Sequence[Clip], progress: Progress) -> None:
    """Say of an embedding set that it was made to be searched."""
    gaps = np.concatenate([np.diff(clip.times) for clip in clips])
    if len(gaps) and (gap := float(np.median(gaps))) > _SPARSE_S:
        progress.say(
            f"the set holds about {1 / gap:.2g} frames a second, and what comes and goes between two is not seen; "
            "embed the videos with --fps 0, or name them here"
        )


def _check(k: int | None, min_probability: float) -> None:
    if k is not None and k < 1:
        raise InputError(f"{k} moments were asked for; ask for 1 or more")
    if not 0 <= min_probability <= 1:
        raise InputError(f"--min-probability must lie between 0 and 1, not {min_probability}")


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
