"""Do the faces that come back show the same expression on other people?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.evaluation.rows import Rows, check_rows, has_embedding, numbered_groups, row_blocks, unit_rows

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class RetrievalScore:
    """How often the faces that come back show what the query shows; by chance, one in as many as there are classes."""

    precision: float  # share of right faces among the first k; mean over classes of the mean over queries
    mean_average_precision: float  # the same of average precision over the whole gallery
    by_class: dict[str, tuple[float, float]]  # both, for the queries of each class
    precisions: Doubles  # (N,) of each query, mean over repeats
    average_precisions: Doubles  # (N,) of each query, mean over repeats
    k: int  # how many of the first faces count
    per_class: int  # faces of each class in a gallery
    repeats: int  # galleries drawn


def retrieval_score(
    vectors: Rows,
    labels: Sequence[str],
    identities: Sequence[str | None],
    *,
    k: int = 10,
    per_class: int = 100,
    repeats: int = 10,
    seed: int = 0,
) -> RetrievalScore:
    """Ask with every face for the faces that show the same, by cosine, the query's own person excluded.

    The galleries hold as many faces of each class, drawn anew at each repeat, so that a frequent class comes back no
    more often than a rare one. Average precision is the mean, over the right faces of the gallery, of the precision at
    their ranks; faces of equal cosine come in random order.

    Args:
        vectors: (N, D) of any length. A faceless row is never in a gallery, and as a query finds nothing.
        labels: N expressions, at least two different.
        identities: N people; a row of None is a person of its own.
        k: how many of the first faces count for precision.
        per_class: faces of each class in a gallery; the size of the smallest class where that is less.
        repeats: galleries to draw. All of them together make the figures; the defaults are ferkit's.
        seed: of the draws.

    Raises:
        InputError: lengths differ, a label is missing, there is one class alone or one without any face, or a gallery
            holds fewer than ``k`` faces of other people than the query's.
    """
    check_rows(vectors, labels=labels, identities=identities)
    if any(label is None for label in labels):
        raise InputError(
            f"{sum(label is None for label in labels)} of {len(labels)} faces have no label; leave them out"
        )
    if k < 1 or repeats < 1 or per_class < 1:
        raise InputError(f"k {k}, per_class {per_class} and repeats {repeats} were asked for; each is at least 1")
    classes, numbers = np.unique(np.asarray(labels), return_inverse=True)
    usable = has_embedding(vectors)
    smallest = int(np.bincount(numbers[usable], minlength=len(classes)).min())
    if len(classes) < 2 or not smallest:
        raise InputError(f"retrieval needs faces of two labels or more, each with a vector; got {', '.join(classes)}")
    size, random, people = min(per_class, smallest), np.random.default_rng(seed), numbered_groups(identities)
    galleries = [_gallery(numbers, usable, size, random) for _ in range(repeats)]
    scores = np.zeros((2, len(vectors)))
    scores[:, usable] = np.mean(
        [_query_gallery(vectors, numbers, people, usable, rows, k) for rows in galleries], axis=0
    )
    by_class = [scores[:, numbers == number].mean(axis=1) for number in range(len(classes))]
    precision, mean_average_precision = np.mean(by_class, axis=0)
    return RetrievalScore(
        precision=float(precision),
        mean_average_precision=float(mean_average_precision),
        by_class={str(name): (float(p), float(ap)) for name, (p, ap) in zip(classes, by_class, strict=True)},
        precisions=scores[0],
        average_precisions=scores[1],
        k=k,
        per_class=size,
        repeats=repeats,
    )


def _gallery(
    numbers: NDArray[np.intp], usable: NDArray[np.bool_], size: int, random: np.random.Generator
) -> NDArray[np.intp]:
    """Draw ``size`` rows of each class, in random order."""
    classes = range(int(numbers.max()) + 1)
    rows = [random.permutation(np.flatnonzero(usable & (numbers == number)))[:size] for number in classes]
    return random.permutation(np.concatenate(rows))


def _query_gallery(
    vectors: Rows,
    numbers: NDArray[np.intp],
    people: NDArray[np.int64],
    usable: NDArray[np.bool_],
    gallery: NDArray[np.intp],
    k: int,
) -> Doubles:
    """Return (2, queries) precision at k and average precision of the usable rows in one gallery."""
    units, queries = unit_rows(vectors[gallery]), np.flatnonzero(usable)
    parts = []
    for rows in row_blocks(queries):
        own = people[rows][:, None] == people[gallery]
        if (~own).sum(axis=1).min() < k:
            raise InputError(
                f"a gallery of {len(gallery)} faces, as many of each label, holds fewer than {k} of other people than "
                "the query's; choose a smaller k, or leave out the rarest label"
            )
        cosines = np.where(own, -np.inf, unit_rows(vectors[rows]) @ units.T)
        right = (numbers[rows][:, None] == numbers[gallery]) & ~own
        order = np.argsort(-cosines, axis=1)
        parts.append(_figures(np.take_along_axis(right, order, axis=1), k))
    return np.concatenate(parts, axis=1)


def _figures(right: NDArray[np.bool_], k: int) -> Doubles:
    """Return (2, B) precision at k and average precision of (B, G) ranked answers; 0 where none can be right."""
    precisions = right.cumsum(axis=1) / np.arange(1, right.shape[1] + 1)
    average = (precisions * right).sum(axis=1) / np.maximum(right.sum(axis=1), 1)
    return np.stack([precisions[:, k - 1], average])
