"""Draw what faces in videos show over time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import pyarrow as pa

from ferkit.data.face_selection import clips_of
from ferkit.encoders import DEFAULT_ENCODER
from ferkit.errors import InputError
from ferkit.pipeline.face_stream import source_paths
from ferkit.progress import Progress, Silent
from ferkit.report.safe_picture import check_picture_output, save_picture
from ferkit.search.moment_settings import MomentSettings
from ferkit.settings import part_settings
from ferkit.workflows.recognise import RecogniseKeywords, recognise

_MOST_LANES = 12


@dataclass(frozen=True)
class TimelineResult:
    """What was drawn."""

    path: Path  # the picture
    csv: Path | None  # the table of every face in every frame, as `ferkit.recognise` writes it, if any
    clips: int  # faces that were followed
    frames: int  # faces in all their frames
    lanes: int  # panels that were drawn
    left_out: int  # panels with fewer frames that were not
    encoder: str  # name of the encoder
    problems: list[tuple[str, str]]  # (source, why) of videos that show no face or cannot be read


class TimelineKeywords(RecogniseKeywords, total=False):
    """How the lines are smoothed, and the keyword arguments of `recognise`."""

    smooth: float
    gap: float


def timeline(
    sources: str | Path | Sequence[str | Path],
    out: str | Path = "timeline.png",
    *,
    csv: str | Path | None = None,
    encoder: str | Path = DEFAULT_ENCODER,
    head: str | Path | None = None,
    progress: Progress | None = None,
    **options: Unpack[TimelineKeywords],
) -> TimelineResult:
    """Draw the probabilities of the expressions over the time of videos, stacked, one panel a person.

    Where nobody says who is who, a panel holds faces of one video that are seen one after the other.

    Args:
        sources: videos, or the ``.npy`` file of an embedding set of videos.
        out: ``.png`` file of the picture; nothing but an earlier drawing is replaced.
        csv: ``.csv``, ``.tsv`` or ``.parquet`` file for the table; a run with one goes on where it was stopped.
        encoder: as for `ferkit.embed`; of an embedding set its own is taken.
        head: a file of `ferkit probe … --save-head`; None takes the encoder's own.
        progress: told of every batch.
        options: ``smooth`` and ``gap`` of `ferkit.search.moment_settings.MomentSettings`, and what
            `ferkit.recognise` takes, such as ``fps=5``.

    Raises:
        InputError: no source is a video.
        FerkitError: as `ferkit.recognise`.
    """
    paths, target, progress = source_paths(sources), Path(out), progress or Silent()
    settings, reading = part_settings(options, MomentSettings, dict)
    check_picture_output(target, paths)
    read = recognise(paths, csv, encoder=encoder, head=head, progress=progress, **reading)
    clips = clips_of(read.table)
    if not clips:
        raise InputError("there is no video among the sources, only pictures; `ferkit recognise` reads these")
    from ferkit.report.time_charts import draw_timeline

    lanes = list(_lanes(read.table, read.columns))
    shown = sorted(sorted(lanes, key=lambda lane: -lane.frames)[:_MOST_LANES], key=lanes.index)
    if len(lanes) > len(shown):
        progress.say(f"drawing the {len(shown)} panels with the most frames, of {len(lanes)}")
    title = f"{', '.join(path.name for path in paths[:3])} · {Path(read.encoder).name}"
    save_picture(draw_timeline(shown, read.classes, title, settings), target)
    problems = [*((source, "no face") for source in read.faceless), *read.unreadable]
    counted = sum(len(clip.rows) for clip in clips), len(shown), len(lanes) - len(shown)
    return TimelineResult(target, read.path, len(clips), *counted, read.encoder, problems)


def _lanes(table: pa.Table, columns: Sequence[str]) -> Iterator[Any]:
    """Put clips of one video and person into as few lanes as keep those apart that are seen at the same time."""
    from ferkit.report.time_charts import Lane, Stretch

    shares = np.stack([table.column(name).to_numpy() for name in columns], axis=1).astype(np.float64)
    ends: dict[str, float] = {}
    groups: dict[tuple[str, str | None], list[list[Stretch]]] = {}
    for clip in clips_of(table):
        video, _, number = clip.name.rpartition("@")
        person = table.column("identity")[int(clip.rows[0])].as_py()
        ends[video] = max(ends.get(video, 0.0), float(clip.times[-1]))
        stretch = Stretch("" if person else f"face {number}", clip.times, shares[clip.rows])
        lanes = groups.setdefault((video, person), [])
        free = next((lane for lane in lanes if lane[-1].times[-1] < clip.times[0]), None)
        if free is None:
            lanes.append([stretch])
        else:
            free.append(stretch)
    for (video, person), lanes in groups.items():
        title = f"{person} · {Path(video).name}" if person else Path(video).name
        yield from (Lane(title, lane, ends[video]) for lane in lanes)
