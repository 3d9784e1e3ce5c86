"""The whole way in one minute, without any data of the user's: four portraits, who shows the same as whom?

Grace Hopper comes with matplotlib, Eileen Collins with scikit-image, Barack Obama and Joe Biden (official portraits of
the White House, cut and shrunk) with ferkit; all four pictures are works of the United
States government and in the public domain. The faces ask one another as they were photographed; then ferkit's own local
warp bends each into the expressions of `EXPRESSIONS`, and every variant asks for others' faces that show the same.
"""

import hashlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

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
from ferkit.faces.template import CROP_SIZE, TEMPLATE_NAME
from ferkit.locks import output_lock
from ferkit.methods.expression_warps import EXPRESSIONS, with_expression
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.face_stream import open_pictures
from ferkit.progress import Progress, Silent
from ferkit.report.gallery import GalleryFace, GalleryRow, Panel, draw_gallery
from ferkit.report.safe_picture import save_picture
from ferkit.search.index import FlatIndex
from ferkit.workflows.embed import embed
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
    """One query's answer.

    Attributes:
        person: who asks.
        expression: what the query shows.
        found: the other people's faces, most similar first.
    """

    person: str
    expression: str
    found: tuple[Answer, ...]

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


@dataclass(frozen=True)
class DemoResult:
    """What lies in the demo's folder, and how well the encoder did: on photos, on strong and on weak warps."""

    out: Path
    encoder: str
    faces: Path
    queries: Path
    embeddings: Path
    gallery: Path
    preview: Path
    rounds: tuple[Round, ...]


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
        out: folder for portraits, queries, face set, embedding set and two pictures; those of an earlier demo are
            replaced, and a folder with anything else is refused.
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
    load_encoder(encoder, device, progress)  # what cannot be loaded shall replace nothing
    with output_errors(out), output_lock(out):
        return _demo(out, encoder, device, progress)


def _demo(out: Path, encoder: str, device: str | None, progress: Progress) -> DemoResult:
    pictures = _portraits()
    with atomic_path(out / _MARKER) as partial:
        partial.write_text("ferkit demo may replace what lies beside this file\n", encoding="utf-8")
    portraits = _save_portraits(pictures, out / "portraits")
    variants = list(_variants(_aligned(portraits, device, progress), out / "queries"))
    faces = _save_face_set(variants, out / "faces")
    embeddings = out / "emb.npy"
    embed([faces.path], embeddings, encoder=encoder, device=device, progress=progress)
    found = EmbeddingSet.open(embeddings)
    rounds = tuple(Round(title, rank_others(found, names)) for title, names in _ROUNDS.items())
    preview = out / "warp_preview.png"
    warp_preview(portraits["Grace Hopper"], preview, aligned=False, progress=progress)
    result = DemoResult(out, encoder, out / "faces", out / "queries", embeddings, out / "gallery.png", preview, rounds)
    _save_gallery(result, variants)
    return result


def _refuse_foreign(out: Path) -> None:
    if out.is_dir() and not (out / _MARKER).exists() and any(not is_temporary(child) for child in out.iterdir()):
        raise OutputError(f"{str(out)!r} holds files that are not of a demo; choose a new folder with -o")


def _portraits() -> dict[str, Pixels]:
    from matplotlib.cbook import get_sample_data

    hopper = read_image(Path(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    own = {person: read_image(_PORTRAITS / f"{_slug(person)}.png") for person in ("Barack Obama", "Joe Biden")}
    return {"Grace Hopper": hopper, "Eileen Collins": _astronaut(), **own}


def _save_portraits(pictures: Mapping[str, Pixels], folder: Path) -> dict[str, Path]:
    """Write the portraits as PNG and return their paths by person."""
    paths = {person: folder / f"{_slug(person)}.png" for person in pictures}
    for person, picture in pictures.items():
        save_picture(Image.fromarray(picture), paths[person])
    return paths


def _astronaut() -> Pixels:
    try:
        from skimage import data
    except ImportError as error:
        raise InputError(
            "one of the demo's portraits comes with scikit-image, which is not installed; pip install 'ferkit[demo]'"
        ) from error
    picture: Pixels = data.astronaut()
    return picture


def _aligned(portraits: Mapping[str, Path], device: str | None, progress: Progress) -> dict[str, Pixels]:
    """Return the most certain face of each portrait, (128, 128, 3), by person."""
    best = {}
    for person, path in portraits.items():
        stream = open_pictures([path], FaceOptions(aligned=False), device, progress)
        batch = next(stream.batches())
        best[person] = batch.crops[np.argmax([face.score or 0.0 for face in batch.faces])]
    return best


def _variants(crops: Mapping[str, Pixels], folder: Path) -> Iterator[_Variant]:
    """Each face as it is and bent into every expression; all are files that `ferkit retrieve` takes as queries."""
    for person, crop in crops.items():
        bent = {name: with_expression(crop, name) for name in EXPRESSIONS}
        for expression, shown in {f"photo: {_PHOTOGRAPHED[person]}": crop, **bent}.items():
            query = folder / f"{_slug(person)}-{_slug(expression.partition(':')[0])}.png"
            save_picture(Image.fromarray(shown), query)
            yield _Variant(person, expression, shown, query)


def _save_face_set(variants: list[_Variant], path: Path) -> FaceSet:
    crops = np.stack([variant.crop for variant in variants])
    faces = [_face(variant) for variant in variants]
    fingerprint = hashlib.sha256(crops.tobytes()).hexdigest()
    with FaceSetWriter(path, TEMPLATE_NAME, CROP_SIZE, fingerprint=fingerprint, overwrite=True) as writer:
        if not writer.pictures_done:  # else an earlier demo was stopped right after this step
            writer.append(crops, faces, pictures_done=len(faces))
    return FaceSet.open(path)


def _face(variant: _Variant) -> Face:
    return Face(
        source=str(variant.query.resolve()),
        face=1,
        clip=None,
        identity=variant.person,
        time_s=None,
        label=variant.expression,
        box=None,
        landmarks=None,
        score=None,
        sha256=crop_sha256(variant.crop),
    )


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
        found = tuple(Answer(str(people[other]), str(labels[other]), score) for other, score in pairs)
        rankings.append(Ranking(str(people[row]), str(labels[row]), found))
    return tuple(rankings)


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


def _heading(asked: Round) -> str:
    return f"{asked.title}: {asked.first} of {len(asked.rankings)} (chance {asked.chance:.1f})"


def _row(ranking: Ranking, crops: Mapping[tuple[str, str], Pixels]) -> GalleryRow:
    found = [
        GalleryFace(
            crops[answer.person, answer.expression],
            f"{_plain(answer.expression)}  {answer.score:.2f}",
            match=answer.expression == ranking.expression,
        )
        for answer in ranking.found[:_SHOWN]
    ]
    return GalleryRow(GalleryFace(crops[ranking.person, ranking.expression], _plain(ranking.expression)), found)


def _plain(expression: str) -> str:
    return expression.removeprefix("photo: ")


def _slug(name: str) -> str:
    return name.lower().replace(" ", "-")
