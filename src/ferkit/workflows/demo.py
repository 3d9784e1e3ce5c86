"""The whole way in one minute, without any data of the user's: two portraits, six expressions each, who matches whom?

Grace Hopper comes with matplotlib, Eileen Collins with scikit-image; both pictures are works of the United States
government (Navy, NASA) and in the public domain. ferkit's own local warp bends each portrait into the expressions of
`EXPRESSIONS`; then every variant of one person asks for the other person's face that shows the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
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
from ferkit.report.gallery import Panel, Row, Tile, draw_gallery
from ferkit.report.safe_picture import save_picture
from ferkit.search.index import FlatIndex
from ferkit.workflows.embed import embed
from ferkit.workflows.warp_preview import warp_preview

__all__ = ["DemoResult", "Ranking", "demo", "rank_others"]

Pixels = NDArray[np.uint8]

_MARKER = ".ferkit-demo"
"""File that says of a folder that it is a demo's."""


@dataclass(frozen=True)
class Ranking:
    """One query's answer.

    Attributes:
        person: who asks.
        expression: what the query shows, a name of `EXPRESSIONS`.
        found: the expressions of the other person's faces, most similar first.
        scores: their cosines.
    """

    person: str
    expression: str
    found: tuple[str, ...]
    scores: tuple[float, ...]

    @property
    def rank(self) -> int:
        """Place of the face that shows the query's expression, from 1."""
        return self.found.index(self.expression) + 1


@dataclass(frozen=True)
class DemoResult:
    """What lies in the demo's folder, and how well the encoder did."""

    out: Path
    encoder: str
    faces: Path
    queries: Path
    embeddings: Path
    gallery: Path
    preview: Path
    rankings: tuple[Ranking, ...]

    @property
    def first(self) -> int:
        """How many queries found the same expression first."""
        return sum(ranking.rank == 1 for ranking in self.rankings)

    @property
    def mean_rank(self) -> float:
        """Mean place of the same expression, from 1."""
        return sum(ranking.rank for ranking in self.rankings) / len(self.rankings)

    @property
    def chance_first(self) -> float:
        """How many queries would find it first by drawing lots."""
        return len(self.rankings) / len(EXPRESSIONS)

    @property
    def chance_rank(self) -> float:
        """Mean place by drawing lots."""
        return (len(EXPRESSIONS) + 1) / 2


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
    rankings = rank_others(EmbeddingSet.open(embeddings))
    preview = out / "warp_preview.png"
    warp_preview(portraits["Grace Hopper"], preview, aligned=False, progress=progress)
    result = DemoResult(
        out, encoder, out / "faces", out / "queries", embeddings, out / "gallery.png", preview, rankings
    )
    _save_gallery(result, variants)
    return result


def _refuse_foreign(out: Path) -> None:
    if out.is_dir() and not (out / _MARKER).exists() and any(not is_temporary(child) for child in out.iterdir()):
        raise OutputError(f"{str(out)!r} holds files that are not of a demo; choose a new folder with -o")


def _portraits() -> dict[str, Pixels]:
    from matplotlib.cbook import get_sample_data

    hopper = read_image(Path(get_sample_data("grace_hopper.jpg", asfileobj=False)))
    return {"Grace Hopper": hopper, "Eileen Collins": _astronaut()}


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
    """Bend every face into every expression; each is also a file that `ferkit retrieve` takes as a query."""
    for person, crop in crops.items():
        for expression in EXPRESSIONS:
            query = folder / f"{_slug(person)}-{_slug(expression)}.png"
            bent = with_expression(crop, expression)
            save_picture(Image.fromarray(bent), query)
            yield _Variant(person, expression, bent, query)


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


def rank_others(embeddings: EmbeddingSet) -> tuple[Ranking, ...]:
    """Let every face of an embedding set with identities and labels ask for the faces of the other people.

    Returns:
        One ranking per row, in the set's order.
    """
    people = np.array(embeddings.table.column("identity").to_pylist())
    labels = embeddings.table.column("label").to_pylist()
    index = FlatIndex(embeddings.vectors, unit=embeddings.normalized)
    rankings = []
    for row, (person, label) in enumerate(zip(people, labels, strict=True)):
        query = embeddings.vectors[row : row + 1]
        scores, rows = index.query(query, k=len(labels), allowed=people != person)
        found = tuple(labels[other] for other in rows[0])
        rankings.append(Ranking(str(person), label, found, tuple(map(float, scores[0]))))
    return tuple(rankings)


def _save_gallery(result: DemoResult, variants: list[_Variant]) -> None:
    crops = {(variant.person, variant.expression): variant.crop for variant in variants}
    people = list(dict.fromkeys(variant.person for variant in variants))
    panels = [_panel(result, crops, asking, other) for asking, other in (people, people[::-1])]
    footer = (
        f"Framed: the same expression. First in {result.first} of {len(result.rankings)} queries (chance "
        f"{result.chance_first:g}), mean rank {result.mean_rank:.2f} (chance {result.chance_rank:g}). Under each face: "
        f"expression and cosine. Encoder: {result.encoder}. Portraits: U.S. Navy, NASA, public domain; bent by ferkit."
    )
    save_picture(draw_gallery("The same expression on another person", panels, footer), result.gallery)


def _panel(result: DemoResult, crops: Mapping[tuple[str, str], Pixels], asking: str, other: str) -> Panel:
    rows = []
    for ranking in result.rankings:
        if ranking.person == asking:
            found = [
                Tile(crops[other, expression], f"{expression}  {score:.3f}", match=expression == ranking.expression)
                for expression, score in zip(ranking.found, ranking.scores, strict=True)
            ]
            rows.append(Row(Tile(crops[asking, ranking.expression], ranking.expression), found))
    return Panel(f"{asking} asks, {other} answers", rows)


def _slug(name: str) -> str:
    return name.lower().replace(" ", "-")
