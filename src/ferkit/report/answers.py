"""Answers as files: a montage, a table, a page, the photos themselves, and where the likeness comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ferkit.errors import OutputError
from ferkit.pipeline.examples import Examples
from ferkit.pipeline.recrop import Lost, row_crops
from ferkit.printable import printable
from ferkit.progress import Progress
from ferkit.report.explanation import draw_explanation
from ferkit.report.montage import Tile, draw_montage
from ferkit.report.output_files import check_output_files, copy_photos, write_rows
from ferkit.report.pages import clock, page_text, save_page, source_url, tile_picture
from ferkit.report.safe_picture import save_picture
from ferkit.search.hits import Hit
from ferkit.search.scores import GOOD
from ferkit.search.searcher import Searcher

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Shown:
    """What answers are drawn from."""

    examples: Examples  # what was asked for
    hits: Sequence[Hit]  # best first
    searcher: Searcher  # the set

    @property
    def footer(self) -> str:
        """Set and encoder."""
        return f"{self.searcher.path.name} · {len(self.searcher):,} faces · {Path(self.searcher.set.encoder.name).name}"


def no_good_match(hits: Sequence[Hit]) -> str | None:
    """Return the sentence that says so where no hit is more likely than not to show the same expression."""
    likely = [hit.probability for hit in hits if hit.probability is not None]
    if not likely or max(likely) >= GOOD:
        return None
    return f"no good match: the most likely of these shows it with a probability of {max(likely):.2f}"


def check_answer_files(files: Mapping[str, Path], asked: Sequence[str | Path]) -> None:
    """Refuse as `check_output_files`, and a name of the other kind of table.

    Args:
        files: by what they are.
        asked: the pictures that are asked with.

    Raises:
        OutputError: there is such a file.
    """
    check_output_files(files, asked, Hit)
    for name in {"csv", "parquet"} & files.keys():
        if (files[name].suffix.lower() == ".parquet") != (name == "parquet"):
            raise OutputError(f"--{name} is given {str(files[name])!r}, which is a name of the other kind of table")


def save_answers(files: Mapping[str, Path], shown: Shown, progress: Progress) -> None:
    """Write the files of `check_answer_files`."""
    crops: list[Pixels | Lost] = []
    if {"montage", "html", "explain"} & files.keys():
        crops = row_crops(shown.searcher.set, [hit.row for hit in shown.hits])
        _say_lost(crops, progress)
    for name, path in files.items():
        if name == "montage":
            save_picture(_montage(shown, crops), path)
        elif name == "explain":
            save_picture(draw_explanation(shown.examples, shown.hits, crops, shown.searcher, progress), path)
        elif name == "html":
            save_page(_page(shown, crops), path)
        elif name == "copy":
            copy_photos(((hit.rank, hit.source, hit.time_s) for hit in shown.hits), path, progress)
        else:
            write_rows(shown.hits, Hit, path)


def _say_lost(crops: Sequence[Pixels | Lost], progress: Progress) -> None:
    for lost, what in (
        (Lost.MISSING, "are not where they were"),
        (Lost.CHANGED, "have changed since they were embedded"),
    ):
        if gone := sum(crop is lost for crop in crops):
            progress.say(f"{gone} of the {len(crops)} pictures found {what}; their places stay empty")


def _montage(shown: Shown, crops: Sequence[Pixels | Lost]) -> Image.Image:
    first, *others = shown.examples.positives
    more = len(others) + len(shown.examples.negatives)
    query = Tile(first.crop, "query" if not more else f"query, and {more} more", shown.examples.name)
    tiles = [
        Tile(crop, score_of(hit), _name(hit) + (f" · {hit.count} alike" if hit.count > 1 else ""))
        for crop, hit in zip(crops, shown.hits, strict=True)
    ]
    return draw_montage(query, tiles, shown.footer, heading=no_good_match(shown.hits) or "closest expressions")


def score_of(hit: Hit) -> str:
    """The cosine, and behind it the probability."""
    return f"{hit.score:.3f}" + ("" if hit.probability is None else f" · p {hit.probability:.2f}")


def _page(shown: Shown, crops: Sequence[Pixels | Lost]) -> str:
    examples, likely = shown.examples, shown.hits and shown.hits[0].probability is not None
    asked = [
        {**tile_picture(each.crop), "name": printable(each.name), "unlike": unlike}
        for unlike, some in enumerate((examples.positives, examples.negatives))
        for each in some
    ]
    tiles = [_page_tile(hit, crop) for hit, crop in zip(shown.hits, crops, strict=True)]
    measure = "probability that it shows this" if likely else "cosine with this"
    faces, encoder = f"{len(shown.searcher):,} faces", Path(shown.searcher.set.encoder.name).name
    lead = f"Of the {faces} of {shown.searcher.path.name}, by {encoder}. Below each its {measure}."
    title = f"Closest to {examples.name}"
    return page_text("answers.html", title=title, lead=lead, note=no_good_match(shown.hits), asked=asked, hits=tiles)


def _page_tile(hit: Hit, crop: Pixels | Lost) -> dict[str, object]:
    where = None if hit.time_s is None else f"at {clock(round(hit.time_s, 1))}"
    which = f"face {hit.face}" if hit.face > 1 else None
    return {
        **tile_picture(crop),
        "rank": hit.rank,
        "count": hit.count,
        "name": printable(Path(hit.source).name),
        "title": f"{printable(hit.source)}\ncosine {hit.score:.3f}",
        "link": source_url(hit.source, hit.time_s),
        "score": f"{hit.score:.3f}" if hit.probability is None else f"{100 * hit.probability:.0f} %",
        "share": hit.probability,
        "weak": hit.probability is not None and hit.probability < GOOD,
        "lines": [printable(_file(hit)), " · ".join(filter(None, (where, which, hit.identity, hit.label)))],
    }


def _file(hit: Hit) -> str:
    """The name of its file, or of its picture in an archive or table."""
    name = Path(hit.source).name
    return name if hit.time_s is None or Path(hit.source).exists() else name.rpartition("#")[0]


def _name(hit: Hit) -> str:
    name = Path(hit.source).name
    return printable(name if hit.face == 1 else f"{name} · face {hit.face}")
