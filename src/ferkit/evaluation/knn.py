"""What the nearest labelled faces say of a face."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ferkit.errors import InputError
from ferkit.evaluation.rows import Answers, Rows, check_parts, has_embedding, row_blocks, unit_rows


def knn_answers(
    train: Rows, train_labels: Sequence[str], test: Rows, *, k: int = 20, temperature: float | None = None
) -> Answers:
    """Classify each test vector by its ``k`` nearest training vectors (cosine).

    Args:
        train: (N, D) of any length; faceless rows are left out.
        train_labels: N labels.
        test: (M, D) of any length.
        k: neighbours, at most as many as training vectors.
        temperature: a neighbour's vote weighs exp(cosine / temperature) (arXiv:1805.01978, section 3.4, which takes
            0.07); None gives every neighbour one vote. A draw goes to the label that sorts first.

    Returns:
        (M,) labels; None for a faceless row.

    Raises:
        InputError: lengths or widths differ, a label is missing, there is nothing to classify, or ``k`` is not in
            1..N.
    """
    check_parts(train, train_labels, test)
    usable, answerable = has_embedding(train), has_embedding(test)
    if not 1 <= k <= usable.sum():
        raise InputError(f"{k} neighbours were asked for; choose from 1 to the {usable.sum()} training vectors")
    classes, numbers = np.unique(np.asarray(train_labels)[usable], return_inverse=True)
    one_hot, units = np.eye(len(classes))[numbers], unit_rows(train[usable])
    answers = np.full(len(test), None, object)
    for rows in row_blocks(np.flatnonzero(answerable)):
        answers[rows] = classes[_vote(unit_rows(test[rows]) @ units.T, one_hot, k, temperature)]
    return answers


def _vote(cosines: Rows, one_hot: NDArray[np.float64], k: int, temperature: float | None) -> NDArray[np.intp]:
    """Return the (B,) winning class numbers for (B, N) cosines."""
    nearest = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
    if temperature is None:
        weights = np.ones(nearest.shape)
    else:
        near = np.take_along_axis(cosines, nearest, axis=1)
        # The largest exponent is 0, so that none overflows; a common factor changes no vote.
        weights = np.exp((near - near.max(axis=1, keepdims=True)) / temperature)
    votes = np.einsum("bk,bkc->bc", weights, one_hot[nearest])
    return np.asarray(votes.argmax(axis=1))
