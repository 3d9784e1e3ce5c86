"""Moments as files: a page of each at its apex and the score over time below, a sheet, a chart, a table, the frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ferkit.atomic import atomic_path
from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.face_selection import Clip
from ferkit.data.sources.video import frame_png, frames_at
from ferkit.pipeline.likeness import Likeness
from ferkit.pipeline.recrop import row_crops
from ferkit.printable import printable
from ferkit.progress import Progress
from ferkit.report.montage import Tile, draw_montage
from ferkit.report.output_files import write_rows
from ferkit.report.pages import clock, page_text, save_page, source_url, tile_picture
from ferkit.report.safe_picture import save_picture
from ferkit.search.hits import MomentHit
from ferkit.search.moment_settings import MomentSettings
from ferkit.search.moments import smoothed, stretches

if TYPE_CHECKING:
    from ferkit.report.time_charts import ScoreCurve

_WIDTH, _HEIGHT = 1000, 100
_MOST_POINTS = 500  # of a curve: pairs of lowest and highest, so that no peak is lost
_MOST_TICKS = 6
_MOST_PANELS = 12
_NAME_LENGTH = 80

Doubles = NDArray[np.float64]
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ShownMoments:
    """What the files of an answer are made of."""

    embeddings: EmbeddingSet
    clips: Sequence[Clip]
    liked: Likeness  # what was asked for, and the score of every row
    hits: Sequence[MomentHit]  # best first
    settings: MomentSettings
    least: float  # score that a moment had to reach
    reached: bool  # whether any did

    @property
    def encoder(self) -> str:
        """Its name."""
        return Path(self.embeddings.encoder.name).name


def save_moments(files: Mapping[str, Path], shown: ShownMoments, progress: Progress) -> None:
    """Write the files of `check_output_files`, each of its kind: ``sheet``, ``plot``, ``html``, ``csv``, ``frames``."""
    hits, liked, gap = shown.hits, shown.liked, shown.settings.gap
    crops = row_crops(shown.embeddings, [hit.row for hit in hits]) if {"sheet", "html"} & files.keys() else []
    curves = _curves(shown) if {"plot", "html"} & files.keys() else []
    for kind, path in files.items():
        if kind == "sheet":
            save_picture(_sheet(shown, crops), path)
        elif kind == "plot":
            from ferkit.report.time_charts import draw_moments  # matplotlib loads only for it

            title = f"like {liked.name} · {shown.encoder}"
            save_picture(draw_moments(curves[:_MOST_PANELS], title, liked.measure, gap, shown.least), path)
        elif kind == "html":
            frames = sum(len(clip.rows) for clip in shown.clips)
            where = f"On {len(shown.clips):,} followed faces ({frames:,} frames), by {shown.encoder}."
            note = None if shown.reached else f"nothing reaches {shown.least:g}; these are the nearest all the same"
            words = f"Moments like {liked.name}", f"{where} Below each its {liked.measure}.", note
            asked = liked.crop, liked.name
            save_page(moments_page(hits, crops, curves, asked, words, liked.measure, gap, shown.least), path)
        elif kind == "csv":
            write_rows(hits, MomentHit, path)
        else:
            _save_frames(hits, path, progress)


def moments_page(
    hits: Sequence[MomentHit],
    crops: Sequence[Pixels | str],
    curves: Sequence[ScoreCurve],
    like: tuple[Pixels | str, str],
    words: tuple[str, str, str | None],
    measure: str,
    gap: float,
    least: float,
) -> str:
    """Return the page.

    Args:
        hits: the moments, best first.
        crops: of the apex of each, or why there is none.
        curves: of the clips, with their moments marked.
        like: what was asked with, and its name.
        words: title, lead and warning.
        measure: what scores are: ``probability`` or ``cosine``.
        gap: seconds without a frame that break a curve.
        least: score that a moment had to reach, as a dashed line.
    """
    title, lead, note = words
    probable = measure == "probability"
    low = 0.0 if probable else float(np.floor(10 * min((each.scores.min() for each in curves), default=0)) / 10)
    return page_text(
        "moments.html",
        title=title,
        lead=lead,
        note=note,
        asked=[{**tile_picture(like[0]), "name": printable(like[1]), "unlike": False}],
        hits=[_tile(hit, crop, probable) for hit, crop in zip(hits, crops, strict=True)],
        curves=[_drawn(curve, (low, 1.0), probable, gap, least) for curve in curves],
    )


def _tile(hit: MomentHit, crop: Pixels | str, probable: bool) -> dict[str, Any]:
    apex, *ends = (clock(round(seconds, 1)) for seconds in (hit.apex_s, hit.onset_s, hit.offset_s))
    clip = printable(Path(hit.clip).name)
    return {
        **tile_picture(crop),
        "rank": hit.rank,
        "count": 1,
        "name": f"{clip} at {apex}",
        "title": printable(hit.source),
        "link": source_url(hit.source, hit.apex_s),
        "score": _level(hit.score, probable),
        "share": hit.score if probable else None,
        "weak": False,
        "lines": [f"at {apex}", " – ".join(ends), " · ".join(filter(None, (hit.identity, clip)))],
    }


def _drawn(curve: ScoreCurve, ends: tuple[float, float], probable: bool, gap: float, least: float) -> dict[str, Any]:
    """Return a curve in the coordinates of its drawing, 1000 wide and 100 high, and its words in percent of these."""
    start, stop = curve.times[0], max(curve.times[-1], curve.times[0] + 0.1)

    def across(seconds: Any) -> Any:  # noqa: ANN401 (a number or an array)
        return _WIDTH * (seconds - start) / (stop - start)

    def down(scores: Any) -> Any:  # noqa: ANN401
        return _HEIGHT * (ends[1] - scores) / (ends[1] - ends[0])

    def path(scores: Doubles) -> str:
        return "".join(_path(across(curve.times[part]), down(scores[part])) for part in stretches(curve.times, gap))

    peaks = np.interp([mark.apex_s for mark in curve.marks], curve.times, curve.smooth)
    return {
        "name": printable(curve.name),
        "spans": [
            (f"{across(mark.onset_s):.1f}", f"{across(mark.offset_s) - across(mark.onset_s):.1f}")
            for mark in curve.marks
        ],
        "raw": path(curve.scores),
        "smooth": path(curve.smooth),
        "least": f"{down(least):.1f}",
        "levels": [(f"{down(level):.1f}", _level(level, probable)) for level in np.linspace(*ends, 3)],
        "ticks": [(f"{across(tick) / 10:.2f}", clock(round(float(tick), 3))) for tick in _ticks(start, stop)],
        "marks": [
            (f"{across(mark.apex_s) / 10:.2f}", f"{down(peak):.1f}", mark.rank)
            for mark, peak in zip(curve.marks, peaks, strict=True)
        ],
    }


def _level(score: float, probable: bool) -> str:
    return f"{100 * score:.0f} %" if probable else f"{score:.2f}"


def _path(x: Doubles, y: Doubles) -> str:
    """Return a line through points from left to right; of many, through the lowest and the highest of each group."""
    edges = np.linspace(0, len(x), min(len(x), _MOST_POINTS) + 1).astype(int)
    kept = sorted(
        {place + int(pick(y[place:end])) for place, end in pairwise(edges) for pick in (np.argmin, np.argmax)}
    )
    return "M" + "L".join(f"{x[at]:.1f} {y[at]:.1f}" for at in kept)


def _ticks(start: float, stop: float) -> Doubles:
    from matplotlib.ticker import MaxNLocator

    ticks = np.asarray(MaxNLocator(_MOST_TICKS, steps=[1, 2, 3, 5, 10]).tick_values(start, stop))
    return ticks[(ticks >= start) & (ticks <= stop)]


def _sheet(shown: ShownMoments, crops: Sequence[Pixels | str]) -> Image.Image:
    tiles = [
        Tile(
            crop,
            f"{hit.score:.2f} · {hit.apex_s:.2f} s",
            f"{hit.onset_s:.2f}–{hit.offset_s:.2f} s · {Path(hit.clip).name}",
        )
        for crop, hit in zip(crops, shown.hits, strict=True)
    ]
    query = Tile(shown.liked.crop, "like", shown.liked.name)
    return draw_montage(query, tiles, shown.encoder, heading="moments, each at its apex")


def _curves(shown: ShownMoments) -> list[ScoreCurve]:
    """The curves of the clips that have moments; of all, where none has."""
    from ferkit.report.time_charts import Mark, ScoreCurve

    by_name, marked = {clip.name: clip for clip in shown.clips}, dict[str, list[MomentHit]]()
    for hit in shown.hits:
        marked.setdefault(hit.clip, []).append(hit)
    return [
        ScoreCurve(
            Path(clip.name).name,
            clip.times,
            shown.liked.scores[clip.rows],
            smoothed(clip.times, shown.liked.scores[clip.rows], shown.settings),
            [Mark(hit.rank, hit.onset_s, hit.apex_s, hit.offset_s) for hit in marked.get(clip.name, [])],
        )
        for clip in ([by_name[name] for name in marked] or shown.clips)
    ]


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
