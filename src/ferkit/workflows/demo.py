"""The whole way in one minute, without any data of the user's: four portraits, who shows the same as whom?

Grace Hopper comes with matplotlib, Eileen Collins with scikit-image, Barack Obama and Joe Biden (official portraits of
the White House, cut and shrunk) with ferkit; all four pictures are works of the United
States government and in the public domain. The faces ask one another as they were photographed; then ferkit's own local
warp bends each into the expressions of `EXPRESSIONS`, and every variant asks for others' faces that show the same.
In a film made of one portrait, another person's photo and the names of expressions find when it shows them.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ferkit.atomic import atomic_path, is_temporary, output_errors
from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.face_set import FaceSet, FaceSetWriter
from ferkit.data.faces import Face, crop_sha256
from ferkit.data.images import read_image
from ferkit.encoders import DEFAULT_ENCODER
from ferkit.encoders.encoder import load_encoder
from ferkit.errors import InputError, OutputError
from ferkit.faces.align import similarity_from_points
from ferkit.faces.template import CROP_SIZE, TEMPLATE, TEMPLATE_NAME
from ferkit.locks import output_lock
from ferkit.methods.expression_warps import EXPRESSIONS, with_expression
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.face_stream import open_pictures
from ferkit.progress import Progress, Silent
from ferkit.report.gallery import GalleryFace, GalleryRow, Panel, draw_gallery
from ferkit.report.pages import data_url, page_text, save_page
from ferkit.report.safe_picture import save_picture
from ferkit.search.index import FlatIndex
from ferkit.workflows.embed import embed
from ferkit.workflows.moments import moments
from ferkit.workflows.warp_preview import warp_preview

Pixels = NDArray[np.uint8]

_PHOTOGRAPHED = {
    "Grace Hopper": "closed mouth",
    "Eileen Collins": "smile",
    "Barack Obama": "smile",
    "Joe Biden": "closed mouth",
}
"""What the portraits show."""

_ROUNDS = {
    "as photographed": ("photo: smile", "photo: closed mouth"),
    "bent into a smile, sadness or surprise": ("smile", "sadness", "surprise"),
    "bent into smaller changes: frown, open mouth, pursed lips": ("frown", "open mouth", "pursed lips"),
}
"""Which faces ask one another, the clearest first."""

_FILMED, _FPS, _STRENGTH = "Grace Hopper", 6, 1.2
_SHOW, _HOLD, _PAUSE = 0.5, 1.5, 1.5
"""Seconds in which the film's face takes an expression on, or off; keeps it; and is as photographed between two."""

_SCENES = {"smile": "eileen-collins-photo.png", "sadness": "sadness", "surprise": "surprise"}
"""What the film shows, one after the other, and how it is asked for: by a picture of the queries, or by its name."""

_PORTRAITS = Path(__file__).parents[1] / "portraits"
_SHOWN, _ROWS = 3, 6
_MARKER = ".ferkit-demo"
"""File that says of a folder that it is a demo's."""


class Answer(NamedTuple):
    """A face that was found: whose, what it shows, and its cosine."""

    person: str
    expression: str
    score: float


@dataclass(frozen=True)
class Ranking:
    """One query's answer."""

    person: str  # who asks
    expression: str  # what the query shows
    found: tuple[Answer, ...]  # the other people's faces, most similar first

    @property
    def rank(self) -> int:
        """Place of the first face that shows the query's expression, from 1."""
        return [answer.expression for answer in self.found].index(self.expression) + 1

    @property
    def chance(self) -> float:
        """How likely the first one shows it if lots are drawn."""
        return sum(answer.expression == self.expression for answer in self.found) / len(self.found)


@dataclass(frozen=True)
class Round:
    """Queries of one kind: what the faces show, and how every one was answered."""

    title: str
    rankings: tuple[Ranking, ...]

    @property
    def first(self) -> int:
        """How many queries found the same expression first."""
        return sum(ranking.rank == 1 for ranking in self.rankings)

    @property
    def chance(self) -> float:
        """How many would by drawing lots."""
        return sum(ranking.chance for ranking in self.rankings)


class Scene(NamedTuple):
    """An expression of the film: how it was asked for, when it was made to be shown, and the best moment found.

    Times are in seconds; what was found is None where nothing reached even odds.
    """

    expression: str
    asked: str
    made: tuple[float, float]
    found: tuple[float, float] | None


@dataclass(frozen=True)
class DemoResult:
    """What lies in the demo's folder, and how well the encoder did: on photos, warps and the film."""

    out: Path
    encoder: str
    faces: Path
    queries: Path
    embeddings: Path
    gallery: Path
    preview: Path
    film: Path
    page: Path
    rounds: tuple[Round, ...]
    scenes: tuple[Scene, ...]


class _Variant(NamedTuple):
    person: str
    expression: str
    crop: Pixels
    query: Path


def demo(
    out: str | Path = "demo",
    *,
    encoder: str = DEFAULT_ENCODER,
    device: str | None = None,
    progress: Progress | None = None,
) -> DemoResult:
    """Find the same expression on another person, among variants of two portraits.

    Args:
        out: folder for portraits, queries, face set, embedding set, film, pictures and a page of them; those of an
            earlier demo are replaced, and a folder with anything else is refused.
        encoder: a name of models.yaml, a run folder or a ``.safetensors`` file.
        device: ``cpu``, ``cuda``, …; None takes the best one present.
        progress: told of every step.

    Raises:
        InputError: scikit-image, which carries one of the portraits, is not installed.
        UnknownEncoderError, WeightsError: the encoder cannot be loaded.
        OutputError: the folder cannot be written, or holds something that is not of a demo.
    """
    out, progress = Path(out), progress or Silent()
    _refuse_foreign(out)
    has_classes = load_encoder(encoder, device, progress).head is not None  # what cannot be loaded replaces nothing
    with output_errors(out), output_lock(out):
        return _demo(out, encoder, has_classes, device, progress)


def _demo(out: Path, encoder: str, has_classes: bool, device: str | None, progress: Progress) -> DemoResult:
    pictures = _portraits()
    with atomic_path(out / _MARKER) as partial:
        partial.write_text("ferkit demo may replace what lies beside this file\n", encoding="utf-8")
    variants: list[_Variant] = []
    to_crops, paths = {}, {}
    for person, picture in pictures.items():
        paths[person] = out / "portraits" / f"{_slug(person)}.png"
        save_picture(Image.fromarray(picture), paths[person])
        crop, to_crops[person] = _align(paths[person], device, progress)
        variants += _variants(person, crop, out / "queries")
    faces, embeddings = _save_face_set(variants, out / "faces"), out / "emb.npy"
    embed([faces.path], embeddings, encoder=encoder, device=device, progress=progress)
    opened = EmbeddingSet.open(embeddings)
    warp_preview(paths["Grace Hopper"], out / "warp_preview.png", aligned=False, progress=progress)
    film = _save_film(pictures[_FILMED], to_crops[_FILMED], out / "film.mp4")
    asked = {name: how for name, how in _SCENES.items() if has_classes or how.endswith(".png")}
    result = DemoResult(
        out=out,
        encoder=encoder,
        faces=faces.path,
        queries=out / "queries",
        embeddings=embeddings,
        gallery=out / "gallery.png",
        preview=out / "warp_preview.png",
        film=film,
        page=out / "demo.html",
        rounds=tuple(Round(title, rank_others(opened, names)) for title, names in _ROUNDS.items()),
        scenes=tuple(_scenes(film, asked, out, encoder, device, progress)),
    )
    _save_gallery(result, variants)
    _save_page(result)
    return result


def _refuse_foreign(out: Path) -> None:
    if out.is_dir() and not (out / _MARKER).exists() and any(not is_temporary(child) for child in out.iterdir()):
        raise OutputError(f"{str(out)!r} holds files that are not of a demo; choose a new folder with -o")


def _portraits() -> dict[str, Pixels]:
    from matplotlib.cbook import get_sample_data

    try:
        from skimage import data
    except ImportError as error:
        raise InputError(
            "one of the demo's portraits comes with scikit-image, which is not installed; pip install 'ferkit[demo]'"
        ) from error
    hopper = read_image(Path(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    own = {person: read_image(_PORTRAITS / f"{_slug(person)}.png") for person in ("Barack Obama", "Joe Biden")}
    return {"Grace Hopper": hopper, "Eileen Collins": data.astronaut(), **own}


def _align(portrait: Path, device: str | None, progress: Progress) -> tuple[Pixels, NDArray[np.float64]]:
    """Return the most certain face of a portrait, (128, 128, 3), and the (2, 3) matrix onto it."""
    batch = next(open_pictures([portrait], FaceOptions(aligned=False), device, progress).batches())
    row = int(np.argmax([face.score or 0.0 for face in batch.faces]))
    landmarks = np.reshape(np.asarray(batch.faces[row].landmarks, np.float64), (1, 5, 2))
    return batch.crops[row], similarity_from_points(landmarks, TEMPLATE)[0]


def _variants(person: str, crop: Pixels, folder: Path) -> Iterator[_Variant]:
    """A face as it is and bent into every expression; all are files that `ferkit retrieve` takes as queries."""
    bent = {name: with_expression(crop, name) for name in EXPRESSIONS}
    for expression, shown in {f"photo: {_PHOTOGRAPHED[person]}": crop, **bent}.items():
        query = folder / f"{_slug(person)}-{_slug(expression.partition(':')[0])}.png"
        save_picture(Image.fromarray(shown), query)
        yield _Variant(person, expression, shown, query)


def _save_face_set(variants: list[_Variant], path: Path) -> FaceSet:
    unknown = dict.fromkeys(("clip", "time_s", "box", "landmarks", "score"))
    faces = [
        Face(str(query.resolve()), face=1, identity=person, label=expression, sha256=crop_sha256(crop), **unknown)
        for person, expression, crop, query in variants
    ]
    crops = np.stack([variant.crop for variant in variants])
    fingerprint = hashlib.sha256(crops.tobytes()).hexdigest()
    with FaceSetWriter(path, TEMPLATE_NAME, CROP_SIZE, fingerprint=fingerprint, overwrite=True) as writer:
        if not writer.pictures_done:  # else an earlier demo was stopped right after this step
            writer.append(crops, faces, pictures_done=len(faces))
    return FaceSet.open(path)


def rank_others(embeddings: EmbeddingSet, expressions: Collection[str]) -> tuple[Ranking, ...]:
    """Let the faces with some labels ask for those of the other people.

    Args:
        embeddings: a set with identities and labels.
        expressions: labels of the faces that ask and are found.

    Returns:
        One ranking per such row, in the set's order.
    """
    people = np.array(embeddings.table.column("identity").to_pylist())
    labels = np.array(embeddings.table.column("label").to_pylist())
    index, taking_part = FlatIndex(embeddings.vectors, unit=embeddings.normalized), np.isin(labels, list(expressions))
    rankings = []
    for row in np.flatnonzero(taking_part).tolist():
        allowed = taking_part & (people != people[row])
        scores, rows = index.query(embeddings.vectors[row : row + 1], k=int(allowed.sum()), allowed=allowed)
        pairs = zip(rows[0].tolist(), scores[0].tolist(), strict=True)
        answers = tuple(Answer(str(people[other]), str(labels[other]), score) for other, score in pairs)
        rankings.append(Ranking(str(people[row]), str(labels[row]), answers))
    return tuple(rankings)


def _save_film(picture: Pixels, to_crop: NDArray[np.float64], path: Path) -> Path:
    """Write a portrait that takes on one expression after the other."""
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    times = np.arange(0, _PAUSE + 2 * _SHOW + _HOLD, 1 / _FPS) - _PAUSE
    strengths = _STRENGTH * np.clip(np.minimum(times, 2 * _SHOW + _HOLD - times) / _SHOW, 0, 1)
    with atomic_path(path) as partial:
        writer = cv2.VideoWriter(str(partial), cv2.VideoWriter.fourcc(*"mp4v"), _FPS, (width, height))
        for name, strength in product(_SCENES, strengths.tolist()):
            frame = with_expression(picture, name, strength=strength, to_crop=to_crop)
            writer.write(np.ascontiguousarray(frame[:height, :width, ::-1]))
        writer.release()
    return path


def _scenes(
    film: Path, asked: Mapping[str, str], out: Path, encoder: str, device: str | None, progress: Progress
) -> Iterator[Scene]:
    """Ask for expressions of the film; a curve of each answer is left beside it."""
    length, faces = _PAUSE + 2 * _SHOW + _HOLD, out / "film.npy"
    embed(film, faces, encoder=encoder, device=device, fps=0, progress=progress)
    for number, (name, question) in enumerate(asked.items()):
        like: str | Path = out / "queries" / question if question.endswith(".png") else question
        plot = out / f"timeline-{name}.png"
        result = moments(faces, like, encoder=encoder, device=device, plot=plot, progress=progress)
        start = number * length + _PAUSE
        best = (result.moments[0].onset_s, result.moments[0].offset_s) if result.reached else None
        yield Scene(name, question, (start + _SHOW / 2, start + 1.5 * _SHOW + _HOLD), best)


def _save_page(result: DemoResult) -> None:
    """Lay all pictures out on one page."""
    captions = [
        (result.gallery, "Every query, and whom it found; framed: the same expression on another person"),
        *((result.out / f"timeline-{scene.expression}.png", scene_words(scene)) for scene in result.scenes),
        (result.preview, "What pre-training does to a face"),
    ]
    pictures = [(data_url(path.read_bytes(), "png"), words) for path, words in captions]
    lead = "Portraits: U.S. Navy, NASA, White House, public domain; warps and film by ferkit. They measure no quality."
    title = "The same expression on another person"
    save_page(page_text("demo.html", title=title, lead=lead, note=None, pictures=pictures), result.page)


def scene_words(scene: Scene) -> str:
    """Say of a scene of the film when it was made to be shown, and when it was found."""
    question = "a photo of Eileen Collins smiling" if scene.asked.endswith(".png") else f"the word {scene.asked}"
    answer = "found nowhere" if scene.found is None else f"found at {scene.found[0]:.1f}–{scene.found[1]:.1f} s"
    return f"{scene.expression}, shown at {scene.made[0]:.1f}–{scene.made[1]:.1f} s, asked for by {question}: {answer}"


def _save_gallery(result: DemoResult, variants: list[_Variant]) -> None:
    crops = {(variant.person, variant.expression): variant.crop for variant in variants}
    *strong, weak = result.rounds
    panels = [
        Panel(_heading(each) if not start else "", [_row(ranking, crops) for ranking in each.rankings[start:][:_ROWS]])
        for each in strong
        for start in range(0, len(each.rankings), _ROWS)
    ]
    footer = (
        f"Framed: the same expression as the query's. Not shown: {_heading(weak)}. Encoder: {result.encoder}. "
        "Portraits: U.S. Navy, NASA, White House, public domain."
    )
    save_picture(draw_gallery("The same expression on another person", panels, footer), result.gallery)


def _heading(each: Round) -> str:
    return f"{each.title}: {each.first} of {len(each.rankings)} (chance {each.chance:.1f})"


def _row(ranking: Ranking, crops: Mapping[tuple[str, str], Pixels]) -> GalleryRow:
    def face(person: str, expression: str, score: str = "", **match: bool) -> GalleryFace:
        return GalleryFace(crops[person, expression], expression.removeprefix("photo: ") + score, **match)

    row = [
        face(answer.person, answer.expression, f"  {answer.score:.2f}", match=answer.expression == ranking.expression)
        for answer in ranking.found[:_SHOWN]
    ]
    return GalleryRow(face(ranking.person, ranking.expression), row)


def _slug(name: str) -> str:
    return name.lower().replace(" ", "-")
