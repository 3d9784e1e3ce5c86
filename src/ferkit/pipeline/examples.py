"""What a search is asked with: pictures, rows of the set, classes, changes, all as vectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.encoder_stamp import require_same_encoder
from ferkit.data.expressions import expression
from ferkit.data.faces import Face
from ferkit.encoders.encoder import require_head
from ferkit.encoders.expression_head import UnknownExpressionError
from ferkit.errors import InputError
from ferkit.pipeline.face_options import FaceOptions
from ferkit.pipeline.query_face import STANDARD_INPUT, find_query_face
from ferkit.pipeline.recrop import row_crops
from ferkit.progress import Progress
from ferkit.search.queries import Query, change
from ferkit.search.retrieve_settings import Pictures, RetrieveSettings
from ferkit.search.searcher import Searcher

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Example:
    """A face that is asked with, or a class."""

    vector: NDArray[np.float32]  # (D,) of length 1
    name: str  # what to call it
    crop: Pixels | str  # (128, 128, 3) uint8 RGB; a text where there is none
    face: Face | None = None  # what is known of it; None of a class
    row: int | None = None  # of the set, where it is one of its faces
    faces: int = 0  # how many its picture shows; 0 where nobody looked


@dataclass(frozen=True, eq=False)
class Examples:
    """A question as vectors."""

    query: Query  # what scores are computed by
    positives: list[Example]  # what is asked for; of a change, the photo after it
    negatives: list[Example] = field(default_factory=list)  # what is not; of a change, the photo before it
    name: str = ""  # the whole in words
    expression: str | None = None  # the class of the encoder's head that is asked for, where nothing else is

    @classmethod
    def of(
        cls,
        pictures: Sequence[str | Path],
        question: RetrieveSettings,
        searcher: Searcher,
        options: FaceOptions,
        device: str | None,
        progress: Progress,
        show: Callable[[Pixels], None] | None = None,
    ) -> Examples:
        """Find the faces of a question and embed them; rows of the set need no encoder.

        Args:
            pictures: photos or face crops that show what is asked for; ``-`` is standard input.
            question: what else is asked for.
            searcher: the set.
            options: how faces are found.
            device: where they are searched.
            progress: told what was taken.
            show: given the crops of all faces of the one picture that ``face`` chooses from.

        Raises:
            InputError: nothing is asked for, or things that exclude one another.
            UnknownExpressionError, WeightsError: the class is not known, or the encoder has no classes.
            FerkitError: as `find_query_face`; the set's encoder cannot be loaded.
        """
        rows = [question.rows] if isinstance(question.rows, int) else list(question.rows)
        _check(pictures, rows, question)

        def embedded(picture: str | Path, face: int | None = None, shown: bool = False) -> Example:
            found = find_query_face(picture, face, options, device, progress, show if shown else None)
            vector: NDArray[np.float32] = searcher.encoder.embed(found.crop[None])[0]
            return Example(vector, _name(found.face), found.crop, found.face, faces=found.faces)

        if question.before is not None and question.after is not None:
            after, before = embedded(question.after), embedded(question.before)
            name = f"the change from {before.name} to {after.name}"
            return cls(change(before.vector, after.vector), [after], [before], name)
        if question.source is not None:
            rows.append(_row_of(question.source, question.face, searcher.set))
        positives = [embedded(picture, question.face, len(pictures) == 1) for picture in pictures]
        positives += ask_rows(searcher.set, rows)
        if question.like is not None:
            positives.append(_class_example(question.like, question.prototypes, searcher))
        negatives = [embedded(picture) for picture in picture_list(question.negatives)]
        dim = searcher.set.encoder.dim
        shown, not_shown = (np.reshape([each.vector for each in part], (-1, dim)) for part in (positives, negatives))
        name = ", ".join([*(each.name for each in positives), *(f"not {each.name}" for each in negatives)])
        class_alone = question.prototypes is None and len(positives) == 1 and not negatives
        like = expression(question.like) if class_alone and question.like is not None else None
        return cls(Query(shown, not_shown, question.combine), positives, negatives, name, like)


def ask_rows(embeddings: EmbeddingSet, rows: Sequence[int]) -> list[Example]:
    """Return faces of the set as examples.

    Raises:
        InputError: there is no such row.
    """
    for row in rows:
        if not 0 <= row < len(embeddings):
            raise InputError(f"the set has no row {row}: it holds {len(embeddings):,}, counted from 0")
    faces = embeddings.faces_of(rows) if rows else []
    crops = row_crops(embeddings, rows) if rows else []
    return [
        Example(np.asarray(embeddings.vectors[row]), _name(face), crop, face, row)
        for row, face, crop in zip(rows, faces, crops, strict=True)
    ]


def picture_list(pictures: Pictures) -> list[str | Path]:
    """Return pictures as a list; a lone one need not be wrapped."""
    return [pictures] if isinstance(pictures, str | Path) else list(pictures)


def _check(pictures: Sequence[str | Path], rows: Sequence[int], question: RetrieveSettings) -> None:
    change = (question.before is not None) + (question.after is not None)
    others = bool(pictures) + bool(rows) + (question.source is not None) + (question.like is not None)
    if change == 1:
        raise InputError("a change needs two photos: --from BEFORE --to AFTER")
    if change and (others or question.negatives):
        raise InputError("a change is asked for alone: give --from and --to, and no other example")
    if not change and not others:
        raise InputError("nothing is asked for: name a photo, or give --like CLASS, --row N, or --from and --to")
    if list(map(str, pictures)).count(STANDARD_INPUT) > 1:
        raise InputError("standard input holds one picture; give - once")
    if question.face is not None and len(pictures) + (question.source is not None) != 1:
        raise InputError("--face goes with one photo or --source; give one")


def _row_of(source: str | Path, number: int | None, embeddings: EmbeddingSet) -> int:
    """The row of a face by its picture, as it is printed, and its number; the largest where there is none."""
    wanted = {str(source), str(Path(source).absolute())}
    same = pc.is_in(embeddings.column("source"), pa.array(sorted(wanted), pa.string())).to_numpy()
    rows = np.flatnonzero(same).tolist()
    if not rows:
        raise InputError(f"no face of the set is from {str(source)!r}; name a picture as `ferkit retrieve` prints it")
    faces = embeddings.faces_of(rows)
    if number is None:
        return int(max(zip(rows, faces, strict=True), key=lambda pair: pair[1].size or 0)[0])
    found = [row for row, face in zip(rows, faces, strict=True) if face.face == number]
    if not found:
        there = ", ".join(str(face.face) for face in faces)
        raise InputError(f"the set has no face {number} of {str(source)!r}; it has {there}")
    return int(found[0])


def _class_example(like: str, prototypes: str | Path | None, searcher: Searcher) -> Example:
    name = expression(like)
    if prototypes is None:
        head = require_head(searcher.head, searcher.set.encoder.name)
        return Example(head.prototype(name), name, name)
    labelled = EmbeddingSet.open(prototypes)
    require_same_encoder(labelled.encoder, searcher.set.encoder)
    labels = labelled.column("label")
    known = set(pc.unique(labels.drop_null()).to_pylist())
    if not known:
        raise InputError(f"no face of {str(prototypes)!r} has a label, so that it has no classes; give a labelled set")
    name = like if like in known else name
    if name not in known:
        raise UnknownExpressionError(like, known)
    rows = np.flatnonzero(pc.fill_null(pc.equal(labels, name), False).to_numpy())
    mean = np.asarray(labelled.vectors[rows]).mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(mean))
    if not length:
        raise InputError(f"the faces labelled {name!r} cancel out, so they have no prototype; give more of them")
    return Example((mean / length).astype(np.float32), name, name)


def _name(face: Face) -> str:
    name = Path(face.source).name
    return name if face.face == 1 else f"{name} · face {face.face}"
