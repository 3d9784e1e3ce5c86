"""Find the faces whose expression is closest to that of a query."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from ferkit.data.embedding_set import EmbeddingSet
from ferkit.data.faces import Face
from ferkit.data.filters import MEASURES
from ferkit.encoders.expression_head import ExpressionHead
from ferkit.errors import InputError
from ferkit.pipeline.examples import Example, Examples, Question
from ferkit.pipeline.face_finder import filter_of
from ferkit.pipeline.face_options import FaceOptions, QueryKeywords
from ferkit.pipeline.recrop import row_crops
from ferkit.progress import Progress, Silent
from ferkit.report.answers import Shown, check_answer_files, save_answers
from ferkit.report.contact_sheet import draw_numbered_faces
from ferkit.report.safe_picture import save_picture
from ferkit.search.folding import fold_copies, is_copy, near_copies, one_per_person
from ferkit.search.hits import Hit
from ferkit.search.people import ANY, people_known_by, rows_of_person, same_person_rows
from ferkit.search.queries import MEAN, nearest
from ferkit.search.scores import GOOD, class_probabilities, percentiles, same_probabilities
from ferkit.search.searcher import Searcher, open_searcher

Mask = NDArray[np.bool_]
Pictures = str | Path | Sequence[str | Path]

_COPIES = 8
"""How many copies of the query the first search makes room for."""


@dataclass(frozen=True)
class RetrieveResult:
    """The answer to a query."""

    query: str  # what was asked for, in words: names of pictures, a class
    # number of the face of the first picture that was taken, from 1, left to right; None where there is none
    face: int | None
    faces: int  # how many faces that picture shows; 0 where nobody looked
    searched: int  # how many faces of the set were allowed to be found
    encoder: str  # name of the encoder
    good: bool | None  # whether a hit is more likely than not to show the same expression; None where that is not known
    people: str | None  # what told people apart: ``identity``, ``clip`` or ``nothing``; None where nobody asked
    hits: list[Hit]  # best first
    outputs: dict[str, Path]  # files and folders that were written, by what they are


def retrieve(
    query: Pictures = (),
    embeddings: str | Path = "emb.npy",
    *,
    negatives: Pictures = (),
    rows: int | Sequence[int] = (),
    source: str | Path | None = None,
    like: str | None = None,
    prototypes: str | Path | None = None,
    before: str | Path | None = None,
    after: str | Path | None = None,
    combine: str = MEAN,
    k: int = 10,
    face: int | None = None,
    min_probability: float | None = None,
    exclude_query: bool = True,
    same_person: str = ANY,
    one_per_person: bool = False,
    fold: bool = True,
    identity: str | None = None,
    exclude_identity: str | None = None,
    where: str | None = None,
    encoder: str | Path | None = None,
    device: str | None = None,
    montage: str | Path | None = None,
    faces_sheet: str | Path | None = None,
    csv: str | Path | None = None,
    parquet: str | Path | None = None,
    html: str | Path | None = None,
    copy_to: str | Path | None = None,
    explain: str | Path | None = None,
    progress: Progress | None = None,
    **options: Unpack[QueryKeywords],
) -> RetrieveResult:
    """Find the ``k`` faces of an embedding set that look most like the query to the set's encoder.

    Args:
        query: photos or face crops that show what is looked for; ``-`` reads one from standard input.
        embeddings: the ``.npy`` file of an embedding set.
        negatives: photos or face crops that do not show it.
        rows: rows of the set that show it; no encoder runs for them.
        source: a picture of the set that shows it, as hits name it; likewise.
        like: one of the encoder's classes, such as ``surprise``.
        prototypes: a labelled embedding set of the same encoder, whose classes ``like`` names instead.
        before: with ``after``: what changed between two photos of one person is looked for on others.
        after: the later photo.
        combine: how several examples are combined: ``mean`` or ``best``, see `ferkit.search.queries.Query`.
        k: how many faces to return, at least 1.
        face: which face of the one picture of ``query`` or ``source``, from 1, left to right; None takes the largest.
        min_probability: leave out faces that show the same expression less probably than this.
        exclude_query: leave out the query itself, by its place, its pixels or its landmarks; copies of it as well.
        same_person: ``exclude`` leaves out the faces of the query's person, ``only`` all others; ``any`` none.
        one_per_person: show the best face of each person alone.
        fold: show copies of a photo, near-equal crops and frames of one clip as one hit, and none of the query.
        identity: who the query shows, where the set does not know.
        exclude_identity: leave out the faces of this person.
        where: condition on the set's columns, such as ``"label = 'fear' and yaw < 20"``, see
            `ferkit.search.where.rows_where`.
        encoder: where the set's encoder lies now, if it moved; another one is refused. None takes it by its name.
        device: ``cpu``, ``cuda``, …; None takes the best one present.
        montage: a ``.png`` file to draw the query and the found faces into; nothing but an earlier drawing is
            replaced.
        faces_sheet: a ``.png`` file to draw the query's faces into, with their numbers for ``face``.
        csv: a ``.csv`` or ``.tsv`` file for the table of hits.
        parquet: a ``.parquet`` file for it.
        html: an ``.html`` file for a page of them that needs no other file.
        copy_to: a new folder for the photos found, in order.
        explain: a ``.png`` file that shows where the likeness of query and hits comes from.
        progress: told what the query was taken for.
        options: fields of `ferkit.pipeline.face_options.FaceOptions`: how the query's faces are found, and by
            ``min_size``, ``max_yaw`` and ``min_sharpness`` which faces of the set may be.

    Raises:
        SetError: the set is missing or damaged.
        EncoderMismatchError: ``encoder`` is not the one that made the set, or that one has changed since.
        MissingPathError, UnreadableImageError, NoFaceError: a picture is not there, is none, or shows no face.
        InputError: nothing is asked for, or an argument matches nothing or cannot be understood.
        UnknownExpressionError, WeightsError: ``like`` is no class, or the encoder has none.
        OutputError: something cannot be written, or would replace what ferkit did not make.
    """
    progress, given = progress or Silent(), FaceOptions(**options)
    asked_rows = [rows] if isinstance(rows, int) else list(rows)
    question = Question(
        _listed(query), _listed(negatives), asked_rows, source, face, like, prototypes, before, after, combine
    )
    named = {"montage": montage, "csv": csv, "parquet": parquet, "html": html, "copy": copy_to, "explain": explain}
    files = {name: Path(path) for name, path in named.items() if path is not None}
    sheet = {} if faces_sheet is None else {"montage": Path(faces_sheet)}
    for some in (files, sheet):
        check_answer_files(some, [*question.pictures, *question.negatives])
    _check(k, min_probability)
    searcher = open_searcher(embeddings, encoder, device, progress)
    allowed = _allowed(searcher.set, given, exclude_identity, where)
    head = searcher.head
    show = None if faces_sheet is None else partial(_draw_faces, Path(faces_sheet), progress)
    examples = Examples.of(question, searcher, given, device, progress, show)
    if searcher.set.encoder.precision == "int8":
        progress.say("the set was embedded in int8 and the query is in float32: scores are off by up to some 0.02")
    faces = [example for example in examples.positives if example.face is not None and same_person != ANY]
    people = same_person_rows(searcher.set, [_known_face(searcher, each) for each in faces], identity, same_person)
    people_by = people_known_by(searcher.set) if one_per_person and people.by is None else people.by
    _tell_people(people.by, people_by, progress)
    allowed = _both(allowed, people.rows)
    if min_probability is not None:
        allowed = _both(allowed, _likely(head, examples, searcher.set, min_probability))
    answer = _Answer(searcher, examples, head, exclude_query, fold, one_per_person)
    hits, left_out = answer.hits(k, allowed)
    likely = [hit.probability for hit in hits if hit.probability is not None]
    searched = (len(searcher) if allowed is None else int(allowed.sum())) - left_out
    if files:
        save_answers(files, Shown(examples, hits, searcher), progress)
    first = examples.positives[0]
    return RetrieveResult(
        examples.name,
        None if first.face is None else first.face.face,
        first.faces,
        searched,
        searcher.set.encoder.name,
        max(likely) >= GOOD if likely else None,
        people_by,
        hits,
        files,
    )


@dataclass(frozen=True)
class _Answer:
    """How hits are made of what a search gives."""

    searcher: Searcher
    examples: Examples
    head: ExpressionHead | None
    exclude_query: bool
    fold: bool
    one_per_person: bool
    crops: dict[int, NDArray[np.uint8] | str] = field(default_factory=dict)  # of rows that were compared

    def hits(self, k: int, allowed: Mask | None) -> tuple[list[Hit], int]:
        """Return the nearest faces, folded, and how many faces of the query itself were left out."""
        width = 2 * k + _COPIES
        while True:
            scores, rows = nearest(self.searcher, self.examples.query, width, allowed)
            faces = self.searcher.set.faces_of(rows.tolist())
            own = self._query_places(rows, faces)
            others = [place for place in range(len(faces)) if place not in own]
            groups = self._groups(rows[others], [faces[place] for place in others])
            if len(groups) >= k or len(rows) < width:
                break
            width *= 4
        groups = groups[:k]
        places = [others[group[0]] for group in groups]
        hits = self._hits(scores[places], rows[places], [faces[place] for place in places], groups)
        return hits, len(faces) - len(others)

    def _query_places(self, rows: NDArray[np.int64], faces: Sequence[Face]) -> set[int]:
        """Return the places of those that are left out: the faces of the query and their copies."""
        vectors, own, crops_of = np.asarray(self.searcher.set.vectors[rows]), set[int](), partial(self._crops, rows)
        for each in (*self.examples.positives, *self.examples.negatives) if self.exclude_query else ():
            if each.face is not None:
                own |= {place for place, face in enumerate(faces) if is_copy(face, each.face)}
                if self.fold and not isinstance(each.crop, str):
                    own.update(near_copies(each.face, each.vector, each.crop, faces, vectors, crops_of))
        return own

    def _groups(self, rows: NDArray[np.int64], faces: Sequence[Face]) -> list[list[int]]:
        if self.fold:
            groups = fold_copies(faces, np.asarray(self.searcher.set.vectors[rows]), partial(self._crops, rows))
        else:
            groups = [[place] for place in range(len(faces))]
        return one_per_person(groups, faces) if self.one_per_person else groups

    def _crops(self, rows: NDArray[np.int64], places: Sequence[int]) -> list[NDArray[np.uint8] | None]:
        asked = rows[list(places)].tolist()
        new = [row for row in asked if row not in self.crops]
        self.crops.update(zip(new, row_crops(self.searcher.set, new), strict=True))
        return [None if isinstance(crop := self.crops[row], str) else crop for row in asked]

    def _hits(
        self,
        scores: NDArray[np.float64],
        rows: NDArray[np.int64],
        faces: Sequence[Face],
        groups: Sequence[Sequence[int]],
    ) -> list[Hit]:
        if not len(rows):
            return []
        likely = _probabilities(self.head, self.examples, np.asarray(self.searcher.set.vectors[rows]))
        shares = percentiles(self.examples.query, scores, self.searcher.set.vectors)
        return [
            Hit(
                rank + 1,
                float(scores[rank]),
                None if likely is None else float(likely[rank]),
                float(shares[rank]),
                *(face.source, face.face, face.identity, face.label, face.time_s),
                int(rows[rank]),
                len(groups[rank]),
            )
            for rank, face in enumerate(faces)
        ]


def _draw_faces(path: Path, progress: Progress, crops: NDArray[np.uint8]) -> None:
    save_picture(draw_numbered_faces(crops), path)
    progress.say(f"the faces of the query, numbered for --face: {path}")


def _listed(pictures: Pictures) -> list[str | Path]:
    return [pictures] if isinstance(pictures, str | Path) else list(pictures)


def _check(k: int, min_probability: float | None) -> None:
    if k < 1:
        raise InputError(f"{k} results were asked for; ask for 1 or more")
    if min_probability is not None and not 0 <= min_probability <= 1:
        raise InputError(f"--min-probability must lie between 0 and 1, not {min_probability}")


def _known_face(searcher: Searcher, example: Example) -> Face:
    """What the set knows of a face that is asked with, where it holds it or a copy."""
    assert example.face is not None  # noqa: S101 (of a class nobody asks)
    if example.row is None:
        _, rows = searcher.query(example.vector, _COPIES)
        for face in searcher.set.faces_of(rows.tolist()):
            if is_copy(face, example.face):
                return face
    return example.face


def _tell_people(query_by: str | None, people_by: str | None, progress: Progress) -> None:
    """Say what told the query's person, or people in general, and where nothing does."""
    if query_by == "nothing":
        progress.say("nobody is left out: it is not known who the query shows (--identity NAME says it)")
    elif people_by == "nothing":
        progress.say("the set knows neither identities nor clips, so that each face counts as a person")
    elif people_by is not None:
        progress.say(f"people are told apart by the column {people_by!r}")


def _probabilities(
    head: ExpressionHead | None, examples: Examples, vectors: NDArray[np.float32]
) -> NDArray[np.float64] | None:
    """Return the probabilities that faces show what is asked for: a class, or the expression of faces."""
    if head is None:
        return None
    if examples.expression is not None:
        return class_probabilities(head, examples.expression, vectors)
    shown = [example.vector for example in examples.positives if example.face is not None]
    return same_probabilities(head, np.stack(shown), vectors) if shown else None


def _likely(head: ExpressionHead | None, examples: Examples, embeddings: EmbeddingSet, least: float) -> Mask:
    """Say which rows show what is asked for with a probability of at least ``least``: (N,) booleans."""
    likely = _probabilities(head, examples, embeddings.vectors)
    if likely is None:
        raise InputError(
            f"--min-probability has no meaning here: {embeddings.encoder.name!r} gives no probabilities for this query"
        )
    return likely >= least


def _allowed(
    embeddings: EmbeddingSet, options: FaceOptions, exclude_identity: str | None, where: str | None
) -> Mask | None:
    """Say which rows may be found: (N,) booleans; None for all."""
    allowed = None
    if wanted := filter_of(options):
        allowed = wanted.keep_rows(embeddings.columns(MEASURES))
        if not allowed.any():
            raise InputError(f"none of the set's {len(embeddings):,} faces passes {wanted.describe()}; ask for less")
    if exclude_identity is not None:
        allowed = _both(allowed, ~rows_of_person(embeddings, exclude_identity, "--exclude-identity"))
    if where is not None:
        from ferkit.search.where import rows_where  # sqlglot loads only for it

        met = rows_where(where, embeddings)
        if not met.any():
            raise InputError(f"none of the set's {len(embeddings):,} faces meets --where {where!r}; ask for less")
        allowed = _both(allowed, met)
    return allowed


def _both(a: Mask | None, b: Mask | None) -> Mask | None:
    return b if a is None else a if b is None else a & b
