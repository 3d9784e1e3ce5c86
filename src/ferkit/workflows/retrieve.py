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
from ferkit.errors import InputError
from ferkit.pipeline.examples import Example, Examples, picture_list
from ferkit.pipeline.face_finder import filter_of
from ferkit.pipeline.face_options import FaceOptions, QueryKeywords
from ferkit.pipeline.recrop import row_crops
from ferkit.progress import Progress, Silent
from ferkit.report.answers import Shown, check_answer_files, save_answers
from ferkit.report.contact_sheet import draw_numbered_faces
from ferkit.report.output_files import named_files
from ferkit.report.safe_picture import save_picture
from ferkit.search.folding import group_faces, is_copy, near_copies, widened
from ferkit.search.hits import Hit
from ferkit.search.people import people_known_by, rows_of_person, same_person_rows
from ferkit.search.queries import nearest
from ferkit.search.retrieve_settings import ANY, Pictures, RetrieveKeywords, RetrieveSettings
from ferkit.search.scores import GOOD, class_probabilities, percentiles, same_probabilities
from ferkit.search.searcher import Searcher, open_searcher
from ferkit.settings import part_settings

Mask = NDArray[np.bool_]
Ids = NDArray[np.int64]

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


class RetrieveOptions(RetrieveKeywords, QueryKeywords, total=False):
    """How is asked and answered, and how the query's faces are found."""


def retrieve(
    query: Pictures = (),
    embeddings: str | Path = "emb.npy",
    *,
    encoder: str | Path | None = None,
    device: str | None = None,
    progress: Progress | None = None,
    **options: Unpack[RetrieveOptions],
) -> RetrieveResult:
    """Find the ``k`` faces of an embedding set that look most like the query to the set's encoder.

    Args:
        query: photos or face crops that show what is looked for; ``-`` reads one from standard input.
        embeddings: the ``.npy`` file of an embedding set.
        encoder: where the set's encoder lies now, if it moved; another one is refused. None takes it by its name.
        device: ``cpu``, ``cuda``, …; None takes the best one present.
        progress: told what the query was taken for.
        options: fields of `ferkit.search.retrieve_settings.RetrieveSettings`, such as ``k=20``, ``like="surprise"``,
            ``where="yaw < 20"`` or ``montage="found.png"``, and of `ferkit.pipeline.face_options.FaceOptions`: how the
            query's faces are found, and by ``min_size``, ``max_yaw`` and ``min_sharpness`` which faces of the set may
            be.

    Raises:
        SetError: the set is missing or damaged.
        EncoderMismatchError: ``encoder`` is not the one that made the set, or that one has changed since.
        MissingPathError, UnreadableImageError, NoFaceError: a picture is not there, is none, or shows no face.
        InputError: nothing is asked for, or an argument matches nothing or cannot be understood.
        UnknownExpressionError, WeightsError: ``like`` is no class, or the encoder has none.
        OutputError: something cannot be written, or would replace what ferkit did not make.
    """
    progress, pictures = progress or Silent(), picture_list(query)
    settings, given = part_settings(options, RetrieveSettings, FaceOptions)
    files = _files(settings, [*pictures, *picture_list(settings.negatives)])
    searcher = open_searcher(embeddings, encoder, device, progress)
    allowed = _allowed(searcher.set, given, settings)
    show = None if settings.faces_sheet is None else partial(_draw_faces, Path(settings.faces_sheet), progress)
    examples = Examples.of(pictures, settings, searcher, given, device, progress, show)
    if searcher.set.encoder.precision == "int8":
        progress.say("the set was embedded in int8 and the query is in float32: scores are off by up to some 0.02")
    people, rows = _people(examples, searcher, settings, progress)
    allowed = _both(_both(allowed, rows), _likely(examples, searcher, settings.min_probability))
    answer = _Answer(searcher, examples, settings)
    hits, left_out = answer.hits(allowed)
    if files:
        save_answers(files, Shown(examples, hits, searcher), progress)
    first, likely = examples.positives[0], [hit.probability for hit in hits if hit.probability is not None]
    return RetrieveResult(
        examples.name,
        None if first.face is None else first.face.face,
        first.faces,
        (len(searcher) if allowed is None else int(allowed.sum())) - left_out,
        searcher.set.encoder.name,
        max(likely) >= GOOD if likely else None,
        people,
        hits,
        files,
    )


@dataclass(frozen=True)
class _Answer:
    """How hits are made of what a search gives."""

    searcher: Searcher
    examples: Examples
    settings: RetrieveSettings
    crops: dict[int, NDArray[np.uint8] | str] = field(default_factory=dict)  # of rows that were compared

    def hits(self, allowed: Mask | None) -> tuple[list[Hit], int]:
        """Return the nearest faces, folded, and how many faces of the query itself were left out."""
        k, search = self.settings.k, partial(nearest, self.searcher, self.examples.query, allowed=allowed)
        scores, rows, groups = widened(search, self._groups, k, 2 * k + _COPIES)
        places = [group[0] for group in groups[:k]]
        left_out = len(self._query_places(rows, self.searcher.set.faces_of(rows.tolist())))
        return self._hits(scores[places], rows[places], list(map(len, groups[:k]))), left_out

    def _groups(self, rows: Ids) -> list[list[int]]:
        faces = self.searcher.set.faces_of(rows.tolist())
        own = self._query_places(rows, faces)
        others = np.array([place for place in range(len(faces)) if place not in own], np.int64)
        groups = group_faces(
            [faces[place] for place in others],
            np.asarray(self.searcher.set.vectors[rows[others]]),
            fold=self.settings.fold,
            once=self.settings.one_per_person,
            crops_of=partial(self._crops, rows[others]),
        )
        return [others[group].tolist() for group in groups]

    def _query_places(self, rows: Ids, faces: Sequence[Face]) -> set[int]:
        """Return the places of those that are left out: the faces of the query and their copies."""
        vectors, own, crops_of = np.asarray(self.searcher.set.vectors[rows]), set[int](), partial(self._crops, rows)
        for each in (*self.examples.positives, *self.examples.negatives) if self.settings.exclude_query else ():
            if each.face is not None:
                own |= {place for place, face in enumerate(faces) if is_copy(face, each.face)}
                if self.settings.fold and not isinstance(each.crop, str):
                    own.update(near_copies(each.face, each.vector, each.crop, faces, vectors, crops_of))
        return own

    def _crops(self, rows: Ids, places: Sequence[int]) -> list[NDArray[np.uint8] | None]:
        asked = rows[list(places)].tolist()
        new = [row for row in asked if row not in self.crops]
        self.crops.update(zip(new, row_crops(self.searcher.set, new), strict=True))
        return [None if isinstance(crop := self.crops[row], str) else crop for row in asked]

    def _hits(self, scores: NDArray[np.float64], rows: Ids, counts: Sequence[int]) -> list[Hit]:
        if not len(rows):
            return []
        likely = _probabilities(self.examples, self.searcher, np.asarray(self.searcher.set.vectors[rows]))
        shares = percentiles(self.examples.query, scores, self.searcher.set.vectors)
        return [
            Hit(
                place + 1,
                float(scores[place]),
                None if likely is None else float(likely[place]),
                float(shares[place]),
                *(face.source, face.face, face.identity, face.label, face.time_s),
                int(rows[place]),
                counts[place],
            )
            for place, face in enumerate(self.searcher.set.faces_of(rows.tolist()))
        ]


def _files(settings: RetrieveSettings, inputs: Sequence[str | Path]) -> dict[str, Path]:
    """Return the files to write, by what they are, none of which is in the way of what others made."""
    names = {name: getattr(settings, name) for name in ("montage", "csv", "parquet", "html", "explain")}
    files = named_files(**names, copy=settings.copy_to)
    for some in (files, named_files(montage=settings.faces_sheet)):
        check_answer_files(some, inputs)
    return files


def _draw_faces(path: Path, progress: Progress, crops: NDArray[np.uint8]) -> None:
    save_picture(draw_numbered_faces(crops), path)
    progress.say(f"the faces of the query, numbered for --face: {path}")


def _people(
    examples: Examples, searcher: Searcher, settings: RetrieveSettings, progress: Progress
) -> tuple[str | None, Mask | None]:
    """Return what tells people apart, where that is asked for, and the rows that `same_person_rows` leaves."""
    asked = [example for example in examples.positives if example.face is not None and settings.same_person != ANY]
    faces = [_known_face(searcher, example) for example in asked]
    rows, by = same_person_rows(searcher.set, faces, settings.identity, settings.same_person)
    known = people_known_by(searcher.set) if settings.one_per_person and by is None else by
    if by == "nothing":
        progress.say("nobody is left out: it is not known who the query shows (--identity NAME says it)")
    elif known == "nothing":
        progress.say("the set knows neither identities nor clips, so that each face counts as a person")
    elif known is not None:
        progress.say(f"people are told apart by the column {known!r}")
    return known, rows


def _known_face(searcher: Searcher, example: Example) -> Face:
    """What the set knows of a face that is asked with, where it holds it or a copy."""
    assert example.face is not None  # noqa: S101 (of a class nobody asks)
    if example.row is None:
        _, rows = searcher.query(example.vector, _COPIES)
        for face in searcher.set.faces_of(rows.tolist()):
            if is_copy(face, example.face):
                return face
    return example.face


def _probabilities(examples: Examples, searcher: Searcher, vectors: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Return the probabilities that faces show what is asked for: a class, or the expression of faces."""
    if searcher.head is None:
        return None
    if examples.expression is not None:
        return class_probabilities(searcher.head, examples.expression, vectors)
    shown = [example.vector for example in examples.positives if example.face is not None]
    return same_probabilities(searcher.head, np.stack(shown), vectors) if shown else None


def _likely(examples: Examples, searcher: Searcher, least: float | None) -> Mask | None:
    """Say which rows show what is asked for with a probability of at least ``least``: (N,) booleans; None for all."""
    if least is None:
        return None
    likely = _probabilities(examples, searcher, searcher.set.vectors)
    if likely is None:
        name = searcher.set.encoder.name
        raise InputError(f"--min-probability has no meaning here: {name!r} gives no probabilities for this query")
    return likely >= least


def _allowed(embeddings: EmbeddingSet, options: FaceOptions, settings: RetrieveSettings) -> Mask | None:
    """Say which rows may be found: (N,) booleans; None for all."""
    allowed = None
    if wanted := filter_of(options):
        allowed = wanted.keep_rows(embeddings.columns(MEASURES))
        if not allowed.any():
            raise InputError(f"none of the set's {len(embeddings):,} faces passes {wanted.describe()}; ask for less")
    if settings.exclude_identity is not None:
        allowed = _both(allowed, ~rows_of_person(embeddings, settings.exclude_identity, "--exclude-identity"))
    if settings.where is not None:
        from ferkit.search.where import rows_where  # sqlglot loads only for it

        met = rows_where(settings.where, embeddings)
        if not met.any():
            raise InputError(
                f"none of the set's {len(embeddings):,} faces meets --where {settings.where!r}; ask for less"
            )
        allowed = _both(allowed, met)
    return allowed


def _both(a: Mask | None, b: Mask | None) -> Mask | None:
    return b if a is None else a if b is None else a & b
