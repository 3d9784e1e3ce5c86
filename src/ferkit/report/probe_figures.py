"""The pictures of a probe: confusion, few labels, a map of the vectors, nearest faces, and where the decision looks."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure as MplFigure
from numpy.typing import NDArray
from PIL import Image

from ferkit.evaluation.linear import LinearModel
from ferkit.evaluation.occlusion import OcclusionMap, occlusion_map, patch_count
from ferkit.evaluation.rows import has_embedding, numbered_groups
from ferkit.probing.report import (
    ClassifierSection,
    EncoderReport,
    FewLabelSection,
    MetricValue,
    ProbedFaces,
    ProbeReport,
)
from ferkit.progress import Progress, Silent
from ferkit.report.charts import Curve, draw_confusion, draw_few_labels, draw_occlusion, draw_projection
from ferkit.report.gallery import GalleryFace, GalleryRow, Panel, draw_gallery
from ferkit.report.safe_picture import save_picture
from ferkit.report.set_map import PROJECTION, project

LINEAR, FEW_LABELS = "linear", "few-labels"
"""Sections of a report that pictures are drawn of."""

Crops = Callable[[NDArray[np.int64]], NDArray[np.uint8]]
Features = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

_LEAST = 4
"""Faces, below which there is nothing to lay out."""

_POINTS = 1500
_STRIPS = 8
_NEIGHBOURS = 8
_TILE = 128
_MEAN_OF = 200


@dataclass(frozen=True)
class SavedFigure:
    """A picture of the report."""

    path: Path  # the PNG
    title: str  # what it shows, in a few words
    caption: str  # how it came about, and how to read it
    protocol: str | None = None  # of the section that it belongs to; None where it shows the vectors themselves
    encoder: str | None = None  # whose it is; None for all of them


def draw_figures(
    report: ProbeReport,
    folder: str | Path,
    *,
    occluded: int = 16,
    seed: int = 0,
    progress: Progress | None = None,
) -> list[SavedFigure]:
    """Draw what a probe found, as PNGs; equal reports and seeds give equal pictures.

    A picture is left out where the report does not hold what it shows: vectors alone have no faces to draw.

    Args:
        report: of a probe, with the test faces in memory.
        folder: where to; it is made.
        occluded: faces of each class whose parts are covered, 49 times each; 0 leaves the picture out.
        seed: of every choice of faces, and of the map.
        progress: told of the faces that are covered.

    Raises:
        OutputError: a picture cannot be written.
    """
    folder, progress = Path(folder), progress or Silent()
    saved = [*_confusions(report, folder), *_few_labels(report, folder)]
    for encoder in report.encoders:
        rows, crops = _labelled_rows(encoder.test_faces), encoder.test_faces.crops
        if len(rows) >= _LEAST:
            saved.append(_map(encoder, rows, folder, seed))
        if len(rows) >= _LEAST and crops is not None:
            saved.append(_strips(encoder, rows, crops, folder, seed))
            saved += _occlusion(encoder, rows, crops, folder, occluded, seed, progress)
    return saved


def picture_paths(folder: Path, protocols: Mapping[str, Iterable[str]]) -> set[Path]:
    """Return every picture that `draw_figures` may have drawn of a report, by its encoders' names and protocols."""
    names = {FEW_LABELS}
    for encoder, run in protocols.items():
        own = ["map", "nearest", "occlusion", *(f"{protocol}-confusion" for protocol in run)]
        names |= {f"{encoder}-{what}" for what in own}
    return {_path(folder, name) for name in names}


def format_metric(figure: MetricValue) -> str:
    """Return a figure as text: its value, and the 95 % interval in brackets where there is one."""
    if figure.interval is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.interval[0]:.3f}–{figure.interval[1]:.3f})"


def nearest_others(
    vectors: NDArray[np.floating], identities: Sequence[str | None], queries: Sequence[int], k: int
) -> list[list[tuple[int, float]]]:
    """Find the k nearest faces of other people by cosine, best first.

    Args:
        vectors: (N, D) of length 1, finite.
        identities: N people; a row of None is a person of its own.
        queries: rows to ask with.
        k: faces to return; fewer where there are fewer of other people.

    Returns:
        For each query the rows and their cosines.
    """
    people = numbered_groups(identities)
    neighbours = []
    for query in queries:
        others = np.flatnonzero(people != people[query])
        cosines = vectors[others] @ vectors[query]
        best = np.argsort(-cosines, kind="stable")[:k]
        neighbours.append([(int(others[place]), float(cosines[place])) for place in best])
    return neighbours


def _confusions(report: ProbeReport, folder: Path) -> Iterator[SavedFigure]:
    for encoder in report.encoders:
        for protocol, section in encoder.sections.items():
            if isinstance(section, ClassifierSection):
                below = ", ".join(
                    f"{each.name.replace('_', ' ')} {format_metric(each)}" for each in section.figures[:2]
                )
                title = f"{encoder.name}: {protocol}"
                drawing = draw_confusion(section.result, title, below)
                caption = f"{section.protocol}. Each row is a class: what its faces were called, by share and by count."
                path = _save(drawing, folder, f"{encoder.name}-{protocol}-confusion")
                yield SavedFigure(path, "Confusion", caption, protocol, encoder.name)


def _few_labels(report: ProbeReport, folder: Path) -> Iterator[SavedFigure]:
    all_sections = {each.name: each.sections.get(FEW_LABELS) for each in report.encoders}
    sections = {name: section for name, section in all_sections.items() if isinstance(section, FewLabelSection)}
    if not sections:
        return
    curves = [
        Curve(
            name,
            [point.rows for point in section.points],
            [figure.value for figure in section.figures],
            [figure.interval for figure in section.figures],
        )
        for name, section in sections.items()
    ]
    first = next(iter(sections.values()))
    drawing = draw_few_labels(curves, "linear probe with few labels", first.figures[0].chance)
    yield SavedFigure(_save(drawing, folder, FEW_LABELS), "Few labels", f"{first.protocol}.", FEW_LABELS)


def _map(encoder: EncoderReport, rows: NDArray[np.int64], folder: Path, seed: int) -> SavedFigure:
    sample = np.sort(np.random.default_rng(seed).permutation(rows)[:_POINTS])
    points = project(encoder.test_faces.vectors[sample], seed=seed)
    drawing = draw_projection(
        points, *_labels_and_people(encoder.test_faces, sample), f"{encoder.name}: {PROJECTION}, {len(sample):,} faces"
    )
    caption = (
        f"{PROJECTION} (seed {seed}) of {len(sample):,} of the {len(rows):,} labelled faces. Vectors that hold the "
        "expression lie together by its colours, vectors that hold the person by those of the people; far distances "
        "and the sizes of the clouds say nothing."
    )
    path = _save(drawing, folder, f"{encoder.name}-map")
    return SavedFigure(path, "Map of the vectors", caption, None, encoder.name)


def _strips(encoder: EncoderReport, rows: NDArray[np.int64], crops: Crops, folder: Path, seed: int) -> SavedFigure:
    labels, people = _labels_and_people(encoder.test_faces, rows)
    queries = _queries(labels, seed)
    neighbours = nearest_others(encoder.test_faces.vectors[rows], people, queries, _NEIGHBOURS)
    tile_rows = sorted({*queries, *(row for strip in neighbours for row, _ in strip)})
    tiles = dict(zip(tile_rows, _tiles(crops(rows[tile_rows])), strict=True))

    def tile(row: int, query: int, cosine: float) -> GalleryFace:
        return GalleryFace(tiles[row], f"{_short(labels[row])} {cosine:.2f}", labels[row] == labels[query])

    strips = [
        GalleryRow(
            GalleryFace(tiles[query], _short(labels[query])), [tile(row, query, cosine) for row, cosine in strip]
        )
        for query, strip in zip(queries, neighbours, strict=True)
    ]
    right, total = sum(each.match for strip in strips for each in strip.found), sum(map(len, neighbours))
    are_named = any(name is not None for name in people)
    heading = f"the nearest {'of other people' if are_named else 'faces'}; framed: same expression ({right} of {total})"
    picture = draw_gallery(f"{encoder.name}: nearest faces", [Panel(heading, strips)], "queries drawn at random")
    whose = "of other people" if are_named else "(nobody is known, so that the query's own person may be among them)"
    caption = (
        f"One row a query, drawn at random (seed {seed}), and the nearest of {len(rows):,} labelled faces {whose}, "
        "best first, with their cosine. A frame marks those that show the query's expression: "
        f"{right} of {total}."
    )
    path = _save(picture, folder, f"{encoder.name}-nearest")
    return SavedFigure(path, "Nearest faces", caption, None, encoder.name)


def _occlusion(
    encoder: EncoderReport,
    rows: NDArray[np.int64],
    crops: Crops,
    folder: Path,
    occluded: int,
    seed: int,
    progress: Progress,
) -> Iterator[SavedFigure]:
    linear, features_of = encoder.sections.get(LINEAR), encoder.test_faces.features_of
    if occluded < 1 or not isinstance(linear, ClassifierSection) or linear.model is None or features_of is None:
        return
    labels, random = np.array([encoder.test_faces.labels[row] for row in rows]), np.random.default_rng(seed)
    by_class = {name: random.permutation(rows[labels == name]) for name in linear.model.classes}
    covered = {name: crops(np.sort(own[:occluded])) for name, own in by_class.items() if len(own) >= _LEAST}
    faces = {name: crops(np.sort(by_class[name][:_MEAN_OF])).mean(axis=(0, 3)) for name in covered}
    if not covered:
        return
    maps = _maps(linear.model, features_of, covered, progress)
    drawing = draw_occlusion(maps, faces, f"{encoder.name}: where the linear probe looks")
    caption = (
        f"A square of a quarter of the face's side, in the face's mean colour, covers up to {occluded} asked "
        f"faces of each class of {_LEAST} or more (seed {seed}) at one place after the other. Red: covering the "
        "place costs the linear probe (its last fit) probability of the true class; blue: it gains by it. Below it the "
        "mean face of the class; p is the mean probability of the true class with nothing covered."
    )
    path = _save(drawing, folder, f"{encoder.name}-occlusion")
    yield SavedFigure(path, "Where the decision looks", caption, LINEAR, encoder.name)


def _maps(
    model: LinearModel, features_of: Features, crops: Mapping[str, NDArray[np.uint8]], progress: Progress
) -> dict[str, OcclusionMap]:
    """Return the occlusion map of each class."""
    progress.start("covering faces", sum(patch_count(own.shape[1]) * len(own) for own in crops.values()), unit="faces")

    def probability(place: int, faces: NDArray[np.uint8]) -> NDArray[np.float64]:
        scores = model.scores(features_of(faces))
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        progress.advance(len(faces))
        return np.asarray(powers[:, place] / powers.sum(axis=1))

    return {name: occlusion_map(partial(probability, model.classes.index(name)), own) for name, own in crops.items()}


def _labelled_rows(faces: ProbedFaces) -> NDArray[np.int64]:
    """Rows that have a vector and a label."""
    labelled = np.array([label is not None for label in faces.labels], bool)
    return np.flatnonzero(has_embedding(faces.vectors) & labelled)


def _queries(labels: Sequence[str | None], seed: int) -> list[int]:
    """Draw as many faces of each class, of the most frequent ones where there are many classes."""
    counts = Counter(labels).most_common(_STRIPS)
    random, names = np.random.default_rng(seed), np.array(labels)
    each = max(1, _STRIPS // len(counts))
    queries = [random.permutation(np.flatnonzero(names == name))[:each] for name in sorted(str(n) for n, _ in counts)]
    return [int(row) for rows in queries for row in rows]


def _labels_and_people(faces: ProbedFaces, rows: NDArray[np.int64]) -> tuple[list[str | None], list[str | None]]:
    """Return the labels and the people of some rows."""
    return [faces.labels[row] for row in rows.tolist()], [faces.identities[row] for row in rows.tolist()]


def _tiles(crops: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    if crops.shape[1:3] == (_TILE, _TILE):
        return list(crops)
    return [np.asarray(Image.fromarray(crop).resize((_TILE, _TILE), Image.Resampling.BICUBIC)) for crop in crops]


def _short(name: str | None) -> str:
    return str(name) if len(str(name)) < 12 else f"{str(name)[:10]}.."


def _save(picture: MplFigure | Image.Image, folder: Path, name: str) -> Path:
    path = _path(folder, name)
    save_picture(picture, path)
    return path


def _path(folder: Path, name: str) -> Path:
    return folder / f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name).strip('-.')}.png"
