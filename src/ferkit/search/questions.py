"""Questions to a set, as a person refines them: examples and counter-examples, a class, filters, who is who."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ferkit.encoders.expression_head import ExpressionHead
from ferkit.errors import InputError
from ferkit.search.facets import Choice, Facets
from ferkit.search.folding import group_faces, widened
from ferkit.search.index import over_blocks
from ferkit.search.people import same_person_rows
from ferkit.search.queries import Query, nearest
from ferkit.search.retrieve_settings import EXCLUDE
from ferkit.search.scores import same_probabilities
from ferkit.search.searcher import Searcher

Mask = NDArray[np.bool_]
Rows = NDArray[np.int64]
Floats = NDArray[np.floating[Any]]


Example = int | NDArray[np.float32]
"""A face that is asked with: a row of the set, or a (D,) vector of length 1."""


@dataclass(frozen=True)
class Question:
    """What is searched for. Without an example or an expression the set's faces come in their own order."""

    like: Sequence[Example] = ()  # examples
    unlike: Sequence[Example] = ()  # counter-examples
    expression: str | None = None  # a class of the encoder's head
    # ``exclude`` leaves out the people of the examples, ``only`` leaves out all others, ``any`` nobody
    person: str = EXCLUDE
    once: bool = False  # whether each person is shown once, by the best face
    least: float = 0.0  # probability below which nothing is shown
    choice: Choice = field(default_factory=Choice)  # which faces to search
    start: int = 0  # how many hits to pass over
    count: int = 60  # how many to return


class Ranking(NamedTuple):
    """Faces of the set, best first."""

    rows: Rows  # (K,) of the set
    scores: Floats | None  # (K,) cosines with what was asked for; None where nothing was
    # (K,) that they show the same expression, or the one asked for; None where nobody knows
    probabilities: Floats | None
    faces: list[int]  # how many each stands for: copies of a photo and frames of a clip are one
    searched: int  # how many faces could be found
    nobody_known: bool  # whether examples were given, and it is not known who any of them shows


class Questioner:
    """Answers questions to one set; threads may share it.

    Args:
        searcher: the open set.
    """

    def __init__(self, searcher: Searcher) -> None:
        self._searcher, self._set = searcher, searcher.set
        self.facets = Facets(searcher.set)

    @property
    def head(self) -> ExpressionHead | None:
        """What reads expressions off the set's vectors, if its encoder has it."""
        return self._searcher.encoder.head

    @cached_property
    def shares(self) -> NDArray[np.float32]:
        """(N, C) probabilities of the head's classes for all faces.

        Raises:
            WeightsError: the encoder has no head.
        """
        head = self._searcher.encoder.require_head()
        return np.asarray(over_blocks(self._set.vectors, head.probabilities), np.float32)

    def rank(self, question: Question) -> Ranking:
        """Find what is asked for.

        Raises:
            InputError: an example is no row of the set or a vector of another length, or the examples cancel out.
            WeightsError, UnknownExpressionError: nothing is known of such an expression.
        """
        allowed, unknown = self._allowed(question)
        return Ranking(*self._ranked(question, allowed), int(allowed.sum()), unknown)

    def _allowed(self, question: Question) -> tuple[Mask, bool]:
        """Return which rows may be found, and whether it is not known who the people of the examples are."""
        allowed = self.facets.rows(question.choice)
        for example in (*question.like, *question.unlike):
            self._vector(example)
        asked = self._set.faces_of([example for example in question.like if isinstance(example, int)])
        unknown = bool(question.like) and not any(face.identity or face.clip for face in asked)
        if question.like and not unknown:
            rows, _ = same_person_rows(self._set, asked, None, question.person)
            allowed &= True if rows is None else rows
        allowed[[example for example in (*question.like, *question.unlike) if isinstance(example, int)]] = False
        if question.least > 0 and (likely := self._probabilities(question, np.flatnonzero(allowed))) is not None:
            allowed[np.flatnonzero(allowed)[likely < question.least]] = False
        return allowed, unknown

    def _ranked(self, question: Question, allowed: Mask) -> tuple[Rows, Floats | None, Floats | None, list[int]]:
        """Return rows, best first, cosines, probabilities and how many faces each stands for, of the page asked for."""
        wanted = question.start + question.count
        group = partial(self._groups, question)
        scores, rows, groups = widened(self._order(question, allowed), group, wanted, wanted)
        groups = groups[question.start : wanted]
        kept = [group[0] for group in groups]
        rows, scores = rows[kept], None if scores is None else scores[kept]
        return rows, scores, self._probabilities(question, rows), list(map(len, groups))

    def _order(self, question: Question, allowed: Mask) -> Callable[[int], tuple[Floats | None, Rows]]:
        """Return what gives the cosines, where there are any, and the rows of the first faces."""
        if question.like or question.unlike:
            return partial(nearest, self._searcher, self._query(question), allowed=allowed)
        rows = np.flatnonzero(allowed)
        if (shares := self._probabilities(question, rows)) is not None:
            rows = rows[np.argsort(-shares, kind="stable")]
        return lambda width: (None, rows[:width])

    def _groups(self, question: Question, rows: Rows) -> list[list[int]]:
        """Put the places in ``rows`` together that are one face, or of one person, as the question wishes."""
        fold = bool(question.like or question.unlike or question.expression)
        return group_faces(
            self._set.faces_of(rows.tolist()), np.asarray(self._set.vectors[rows]), fold=fold, once=question.once
        )

    def _query(self, question: Question) -> Query:
        like = [self._vector(example) for example in question.like]
        if question.expression:
            like.append(self._searcher.encoder.require_head().prototype(question.expression))
        if not like:
            raise InputError("less like a face needs something to look for as well: choose a face or an expression")
        unlike = [self._vector(example) for example in question.unlike]
        return Query(np.stack(like), np.reshape(unlike, (len(unlike), self._set.encoder.dim)))

    def _probabilities(self, question: Question, rows: Rows) -> Floats | None:
        """Return the probabilities that faces show the examples' expression; of a class, that they show it."""
        if question.like:
            examples = np.stack([self._vector(example) for example in question.like])
            return same_probabilities(self.head, examples, self._set.vectors, rows)
        if question.expression is None:
            return None
        column = self._searcher.encoder.require_head().column(question.expression)
        return np.asarray(self.shares[rows, column], np.float64)

    def _vector(self, example: Example) -> NDArray[np.float32]:
        if isinstance(example, int):
            if not 0 <= example < len(self._set):
                raise InputError(f"the set has no face {example}: it holds {len(self._set):,}, counted from 0")
            return np.asarray(self._set.vectors[example])
        if example.shape != (self._set.encoder.dim,):
            raise InputError("an example of this address is of another encoder; start from a photo again")
        return example
